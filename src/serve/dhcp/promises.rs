//! Making leases durable before they are promised, on a thread of its own: while the disk syncs, the
//! server goes on to receive, and what comes meanwhile shares the next sync.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use anyhow::anyhow;

use super::answers::{Answer, Answers};
use super::ledger::{Ledger, unpromised};
use crate::machine::LeaseChange;

/// How many changes one sync of the disk makes durable at the most, and how many may wait for it: a
/// disk that is slower than the clients makes the server slow, too, and never lets it forget.
const TOGETHER: usize = 1024;

/// A change, and the answer that waits for it, where there is one.
type Promise = (LeaseChange, Option<Answer>);

/// Makes changes durable in their order, and sends the answers that promise them after that. What was
/// taken is finished before this is dropped.
pub(super) struct Promises {
    sender: Option<SyncSender<Promise>>,
    thread: Option<JoinHandle<()>>,
}

impl Promises {
    /// Starts the thread.
    pub(super) fn start(ledger: Ledger, answers: Arc<Answers>) -> Self {
        let (sender, receiver) = sync_channel(TOGETHER);
        let thread = std::thread::spawn(move || keep(&receiver, ledger, &answers));
        Self {
            sender: Some(sender),
            thread: Some(thread),
        }
    }

    /// Takes a change; waits only where very many wait already.
    ///
    /// # Errors
    /// When the thread has met a fault of its own and is gone.
    pub(super) fn take(&self, change: LeaseChange, answer: Option<Answer>) -> anyhow::Result<()> {
        let sender = self.sender.as_ref();
        let taken = sender.is_some_and(|sender| sender.send((change, answer)).is_ok());
        taken
            .then_some(())
            .ok_or_else(|| anyhow!("nothing makes leases durable any more"))
    }
}

impl Drop for Promises {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn keep(promises: &Receiver<Promise>, mut ledger: Ledger, answers: &Answers) {
    while let Ok(first) = promises.recv() {
        let more = promises.try_iter().take(TOGETHER - 1);
        let (changes, waiting): (Vec<LeaseChange>, Vec<Option<Answer>>) =
            std::iter::once(first).chain(more).unzip();
        let durable = ledger.commit(&changes);
        for answer in waiting.into_iter().flatten() {
            // What is not durable is not promised; the client asks again.
            if !durable && answer.response.reply.is_ok() {
                answers.log.write(&unpromised(&answer.response.exchange));
            } else {
                answers.send(answer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    use super::*;
    use crate::machine::{Lease, MacAddress};
    use crate::respond::dhcp::{Delivery, Exchange, Reply, Response};
    use crate::serve::dhcp::DhcpPort;
    use crate::serve::log::{Level, Log, LogFormat};
    use crate::store::{LeaseStore, StoreError};
    use crate::wire::dhcp::{DhcpMessage, MessageType, Operation, TransactionId};

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A disk that says how many changes it is to keep, and syncs when the test lets it.
    struct Disk {
        begun: Sender<usize>,
        turns: Receiver<()>,
    }

    impl LeaseStore for Disk {
        fn load(&self) -> Result<Vec<Lease>, StoreError> {
            Ok(Vec::new())
        }

        fn commit(&mut self, changes: &[LeaseChange]) -> Result<(), StoreError> {
            let _ = self.begun.send(changes.len());
            let _ = self.turns.recv();
            Ok(())
        }
    }

    fn answer(client: SocketAddrV4, number: u32) -> Answer {
        let transaction_id = TransactionId(number);
        let mac = MacAddress::new([2; 6]);
        let mut message = DhcpMessage::new(Operation::Reply, mac, transaction_id);
        message.options.set_message_type(MessageType::Ack);
        let exchange = Exchange {
            request: Some(MessageType::Request),
            network: None,
            transaction_id,
            mac: Some(mac),
            host: None,
            architecture: None,
            boot_file: None,
            remark: None,
        };
        let reply = Reply {
            message,
            limit: 576,
            delivery: Delivery::Sender,
            measured: None,
        };
        Answer {
            port: 0,
            from: client,
            response: Response {
                commit: None,
                reply: Ok(reply),
                exchange,
            },
        }
    }

    #[test]
    fn an_answer_leaves_after_its_sync_and_those_that_come_meanwhile_share_the_next() {
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let SocketAddr::V4(address) = client.local_addr().unwrap() else {
            panic!("bound to IPv4");
        };
        let loopback = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
        let format = LogFormat::Json;
        let answers = Arc::new(Answers {
            ports: vec![DhcpPort::for_senders(loopback, None).unwrap()],
            log: Log::new(format, Level::Info, Box::new(std::io::sink())),
        });
        let (begun, syncs) = channel();
        let (turn, turns) = channel();
        let ledger = Ledger::new(Box::new(Disk { begun, turns }), answers.log.clone());
        let promises = Promises::start(ledger, answers);
        // Dropped before them: a test that fails must not leave the disk waiting.
        let turn = turn;
        let mut octets = [0; 576];
        let mut answered = || {
            client.recv(&mut octets).map(|length| {
                let message = DhcpMessage::parse(&octets[..length]).unwrap();
                message.transaction_id.0
            })
        };

        let take = |number| {
            let change = LeaseChange::Release(Ipv4Addr::LOCALHOST);
            promises
                .take(change, Some(answer(address, number)))
                .unwrap();
        };
        take(1);
        assert_eq!(syncs.recv_timeout(PATIENCE), Ok(1));
        take(2);
        take(3);
        client.set_nonblocking(true).unwrap();
        assert!(answered().is_err(), "promised before it was durable");
        client.set_nonblocking(false).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        turn.send(()).unwrap();
        assert_eq!(answered().unwrap(), 1);
        assert_eq!(syncs.recv_timeout(PATIENCE), Ok(2));
        turn.send(()).unwrap();
        assert_eq!([answered().unwrap(), answered().unwrap()], [2, 3]);
    }
}
