//! Many clients at once, on one thread.

use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::event::epoll;

use crate::fetch::{Fetch, Wish};
use crate::shared::link::{SERVER, client_address};
use crate::shared::usage;

/// How often it is looked at who has heard nothing.
const LOOK: Duration = Duration::from_millis(20);
/// The most datagrams of one client that are taken before it is another's turn.
const TURN: usize = 64;

/// What came of a crowd.
#[derive(Clone, Copy, Debug)]
pub struct CrowdResult {
    /// The bytes that came, all of them right.
    pub bytes: u64,
    /// How long it took.
    pub time: Duration,
    /// The processor time of the clients.
    pub processor: Duration,
    /// All that were wished for have come.
    pub is_complete: bool,
}

/// Fetches one file with many clients, each with an address of its own, until all have it or the
/// time is up.
///
/// # Errors
/// When a server sends what is wrong, and when it refuses.
pub fn fetch(wish: Wish<'_>, clients: u32, most: Duration) -> anyhow::Result<CrowdResult> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let before = usage::own_processor_time()?;
    let begin = Instant::now();
    let mut members = Vec::new();
    for number in 0..clients {
        let socket = UdpSocket::bind((client_address(number), 0))?;
        socket.set_nonblocking(true)?;
        let data = epoll::EventData::new_u64(number.into());
        epoll::add(&poll, &socket, data, epoll::EventFlags::IN)?;
        let fetch = Fetch::new(wish, number.into(), begin);
        socket.send_to(&fetch.request(), (SERVER, 69))?;
        let server = None;
        members.push(Member {
            socket,
            server,
            fetch,
        });
    }
    let mut events = Vec::with_capacity(clients as usize);
    let mut looked = begin;
    let mut left = members.len();
    while left > 0 && begin.elapsed() < most {
        events.clear();
        let patience = rustix::event::Timespec::try_from(LOOK)?;
        epoll::wait(
            &poll,
            rustix::buffer::spare_capacity(&mut events),
            Some(&patience),
        )?;
        for event in &events {
            let member = &mut members[event.data.u64() as usize];
            if member
                .hear()
                .with_context(|| format!("client {}", event.data.u64()))?
            {
                epoll::delete(&poll, &member.socket)?;
                left -= 1;
            }
        }
        let now = Instant::now();
        if now > looked + LOOK {
            looked = now;
            for member in &mut members {
                member.look(now)?;
            }
        }
    }
    Ok(CrowdResult {
        bytes: members.iter().map(|it| it.fetch.have() as u64).sum(),
        time: begin.elapsed(),
        processor: usage::own_processor_time()?.saturating_sub(before),
        is_complete: left == 0,
    })
}

/// One client, and its socket.
struct Member<'a> {
    socket: UdpSocket,
    /// Where the server's blocks come from; it is known once it has answered.
    server: Option<SocketAddrV4>,
    fetch: Fetch<'a>,
}

impl Member<'_> {
    /// Takes what has arrived; reports whether the file is now complete.
    fn hear(&mut self) -> anyhow::Result<bool> {
        let mut buffer = [0; 2048];
        for _ in 0..TURN {
            let Ok((length, from)) = self.socket.recv_from(&mut buffer) else {
                break;
            };
            if self.server.is_none()
                && let SocketAddr::V4(from) = from
            {
                self.socket.connect(from)?;
                self.server = Some(from);
            }
            let answer = self.fetch.receive(&buffer[..length], Instant::now())?;
            if let Some(answer) = answer {
                // What cannot be sent is lost.
                let _ = self.socket.send(&answer);
                // The server has to answer first, before more can be there.
                break;
            }
        }
        Ok(self.fetch.is_done())
    }

    fn look(&mut self, now: Instant) -> anyhow::Result<()> {
        if let Some(again) = self.fetch.expire(now) {
            let _ = match self.server {
                Some(_) => self.socket.send(&again),
                None => self.socket.send_to(&again, (SERVER, 69)),
            };
        }
        Ok(())
    }
}
