//! Makes leases durable before they are granted, on a separate thread: the server continues to receive
//! while the disk syncs, and changes that arrive meanwhile share the next sync.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use anyhow::bail;

use super::ledger::{Ledger, lease_not_durable};
use super::replies::{PendingReply, ReplySender};
use crate::machine::LeaseChange;

/// Limit of changes in one sync of the disk, and of changes that wait for it. A disk that is slower
/// than the clients slows the server down; changes are never lost.
const TOGETHER: usize = 1024;

/// A change, and the reply that waits for it, if any.
type PendingCommit = (LeaseChange, Option<PendingReply>);

/// Makes changes durable in order, and then sends their replies. Finishes all accepted changes before
/// it is dropped.
pub(super) struct LeaseCommits {
    sender: Option<SyncSender<PendingCommit>>,
    thread: Option<JoinHandle<()>>,
}

impl LeaseCommits {
    /// Starts the thread.
    pub(super) fn start(ledger: Ledger, replies: Arc<ReplySender>) -> Self {
        let (sender, receiver) = sync_channel(TOGETHER);
        let thread = std::thread::spawn(move || keep(&receiver, ledger, &replies));
        Self {
            sender: Some(sender),
            thread: Some(thread),
        }
    }

    /// Queues a change. Waits only if the queue is full.
    ///
    /// # Errors
    /// Fails when the thread panicked.
    pub(super) fn queue(
        &self,
        change: LeaseChange,
        answer: Option<PendingReply>,
    ) -> anyhow::Result<()> {
        let sender = self.sender.as_ref();
        if sender.is_none_or(|sender| sender.send((change, answer)).is_err()) {
            bail!("the thread that makes leases durable panicked");
        }
        Ok(())
    }
}

impl Drop for LeaseCommits {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn keep(commits: &Receiver<PendingCommit>, mut ledger: Ledger, replies: &ReplySender) {
    while let Ok(first) = commits.recv() {
        let more = commits.try_iter().take(TOGETHER - 1);
        let (changes, waiting): (Vec<LeaseChange>, Vec<Option<PendingReply>>) =
            std::iter::once(first).chain(more).unzip();
        let durable = ledger.commit(&changes);
        for answer in waiting.into_iter().flatten() {
            // A lease that is not durable is not granted; the client retries.
            if !durable && answer.response.reply.is_ok() {
                let line = lease_not_durable(&answer.response.exchange);
                replies.log.write(&line);
            } else {
                replies.send(answer);
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
    use crate::respond::dhcp::{Delivery, DhcpReply, Exchange, Response};
    use crate::serve::dhcp::port::DhcpPort;
    use crate::serve::log::{Level, Log, LogFormat};
    use crate::store::{LeaseStore, StoreError};
    use crate::wire::dhcp::{DhcpMessage, MessageType, Operation, TransactionId};

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A disk that reports the number of changes, and syncs when the test allows it.
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

    fn reply_to(port: &Arc<DhcpPort>, client: SocketAddrV4, number: u32) -> PendingReply {
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
            guid: None,
            class: None,
            architecture: None,
            boot_file: None,
            remark: None,
        };
        let reply = DhcpReply {
            message,
            limit: 576,
            delivery: Delivery::Sender,
            needs_size_of: None,
        };
        PendingReply {
            port: Arc::clone(port),
            from: client,
            response: Response {
                commit: None,
                reply: Ok(reply),
                exchange,
            },
        }
    }

    #[test]
    fn reply_leaves_after_its_sync_and_later_changes_share_the_next_sync() {
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let SocketAddr::V4(address) = client.local_addr().unwrap() else {
            panic!("bound to IPv4");
        };
        let loopback = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
        let format = LogFormat::Json;
        let port = Arc::new(DhcpPort::for_senders(loopback, None).unwrap());
        let log = Log::new(format, Level::Info, Box::new(std::io::sink()));
        let replies = Arc::new(ReplySender::new(vec![Arc::clone(&port)], log));
        let (begun, syncs) = channel();
        let (turn, turns) = channel();
        let ledger = Ledger::new(Box::new(Disk { begun, turns }), replies.log.clone());
        let commits = LeaseCommits::start(ledger, replies);
        // Dropped first, so that a failed test does not leave the disk waiting.
        let turn = turn;
        let mut buffer = [0; 576];
        let mut answered = || {
            client.recv(&mut buffer).map(|length| {
                let message = DhcpMessage::parse(&buffer[..length]).unwrap();
                message.transaction_id.0
            })
        };

        let take = |number| {
            let change = LeaseChange::Release(Ipv4Addr::LOCALHOST);
            commits
                .queue(change, Some(reply_to(&port, address, number)))
                .unwrap();
        };
        take(1);
        assert_eq!(syncs.recv_timeout(PATIENCE), Ok(1));
        take(2);
        take(3);
        client.set_nonblocking(true).unwrap();
        assert!(answered().is_err(), "granted before it was durable");
        client.set_nonblocking(false).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        turn.send(()).unwrap();
        assert_eq!(answered().unwrap(), 1);
        assert_eq!(syncs.recv_timeout(PATIENCE), Ok(2));
        turn.send(()).unwrap();
        assert_eq!([answered().unwrap(), answered().unwrap()], [2, 3]);
    }
}
