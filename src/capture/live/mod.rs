mod bpf;
mod ring;
mod system;

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, bail};
use pnet::datalink::{self, Channel, ChannelType, DataLinkReceiver, DataLinkSender};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Socket, Type};

use super::{CaptureError, FrameSink, FrameSource, SourceStatus};
use crate::serve::shutdown::Shutdown;
use crate::wire::capture_file::CapturedFrame;
use crate::wire::packet::LinkType;
use crate::wire::pcapng::Comments;
use ring::{AGE, Ring, RingFrame};

/// Where HTTP is looked for besides the ports of the site.
pub const STANDARD_HTTP_PORTS: [u16; 3] = [80, 443, 8080];
/// How long a silent wire is waited for at once.
const MOMENT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};
/// The types of interfaces that carry Ethernet. FrameSource: `linux/if_arp.h`.
const ETHERNET: &str = "1";
const LOOPBACK: &str = "772";

/// How a wire is watched.
#[derive(Clone, Debug, Default)]
pub struct LiveOptions {
    /// Also take what is for others.
    pub promiscuous: bool,
    /// The TCP ports that are taken for HTTP.
    pub http_ports: BTreeSet<u16>,
}

/// Watches an interface.
pub struct LiveCapture {
    name: String,
    ring: Ring,
    socket: OwnedFd,
    shutdown: Shutdown,
    is_stopped: bool,
    /// On the loopback interface everything is seen twice.
    is_loopback: bool,
    scratch: Vec<u8>,
    dropped: u64,
    /// How many blocks are still taken once somebody wants an end; what came before that is not lost.
    left: usize,
    has_waited: bool,
    /// They hold the socket's other descriptor.
    _channel: (Box<dyn DataLinkSender>, Box<dyn DataLinkReceiver>),
}

impl LiveCapture {
    /// Begins to watch an interface.
    ///
    /// # Errors
    /// When there is no such interface, it carries no Ethernet, the filter cannot hold all ports, or
    /// the system refuses.
    pub fn open(name: &str, options: &LiveOptions, shutdown: Shutdown) -> anyhow::Result<Self> {
        let interfaces = datalink::interfaces();
        let Some(interface) = interfaces.iter().find(|it| it.name == name) else {
            let present = interfaces.into_iter().map(|it| it.name).collect();
            let name = name.to_owned();
            return Err(CaptureError::NoInterface { name, present }.into());
        };
        let kind = fs::read_to_string(format!("/sys/class/net/{name}/type")).unwrap_or_default();
        let kind = kind.trim();
        // Where the system does not tell, the frames will.
        if !["", ETHERNET, LOOPBACK].contains(&kind) {
            let (name, kind) = (name.to_owned(), kind.to_owned());
            return Err(CaptureError::NoEthernet { name, kind }.into());
        }
        let filter = bpf::program(&options.http_ports).ok_or(CaptureError::TooManyPorts {
            most: bpf::MOST_PORTS,
            asked: options.http_ports.len(),
        })?;
        let context = || format!("cannot watch `{name}`");
        // Until it is bound, which pnet does, nothing arrives: not before the filter is there.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None).map_err(|source| {
            let name = name.to_owned();
            match source.kind() {
                ErrorKind::PermissionDenied => {
                    anyhow::Error::new(CaptureError::NotPermitted { name, source })
                }
                _ => anyhow::Error::new(source).context(context()),
            }
        })?;
        socket
            .attach_filter(&bpf::socket_filter(&filter))
            .with_context(context)
            .context("the system refuses the filter")?;
        let ring = Ring::new(&socket).with_context(context)?;
        let own = OwnedFd::from(socket.try_clone().with_context(context)?);
        let config = datalink::Config {
            socket_fd: Some(std::os::fd::IntoRawFd::into_raw_fd(socket)),
            channel_type: ChannelType::Layer2,
            promiscuous: options.promiscuous,
            ..datalink::Config::default()
        };
        let Channel::Ethernet(sender, receiver) =
            datalink::channel(interface, config).with_context(context)?
        else {
            bail!("interface `{name}` carries no Ethernet");
        };
        Ok(Self {
            name: name.to_owned(),
            socket: own,
            shutdown,
            is_stopped: false,
            is_loopback: interface.is_loopback(),
            scratch: Vec::new(),
            dropped: 0,
            left: ring.blocks(),
            has_waited: false,
            ring,
            _channel: (sender, receiver),
        })
    }

    /// Says which frames are taken, in words.
    pub fn filter(options: &LiveOptions) -> String {
        let ports: Vec<String> = options.http_ports.iter().map(u16::to_string).collect();
        format!(
            "udp, icmp unreachable, ip fragments, tcp port {}, with up to two VLAN tags",
            ports.join(" or ")
        )
    }

    /// Waits until a frame arrives or somebody wants an end; tells where a moment passed without.
    fn wait(&self, sink: &mut dyn FrameSink) -> anyhow::Result<SourceStatus> {
        let mut waits = [
            PollFd::new(&self.socket, PollFlags::IN),
            PollFd::new(&self.shutdown, PollFlags::IN),
        ];
        let pumped = match poll(&mut waits, Some(&MOMENT)) {
            Ok(0) => SourceStatus::Silence,
            Ok(_) | Err(rustix::io::Errno::INTR) => SourceStatus::More,
            Err(error) => return Err(error).context("cannot wait for frames"),
        };
        if waits[0].revents().contains(PollFlags::ERR) {
            let name = &self.name;
            match rustix::net::sockopt::socket_error(self.socket.as_fd()) {
                Ok(Err(rustix::io::Errno::NETDOWN)) => {
                    if datalink::interfaces().iter().all(|it| it.name != *name) {
                        bail!("interface `{name}` is gone");
                    }
                    sink.fault(format!("interface `{name}` went down"));
                }
                Ok(Err(error)) => {
                    return Err(error).with_context(|| format!("cannot watch `{name}`"));
                }
                _ => {}
            }
        }
        Ok(pumped)
    }
}

impl FrameSource for LiveCapture {
    fn pump(&mut self, sink: &mut dyn FrameSink) -> anyhow::Result<SourceStatus> {
        let (name, scratch) = (self.name.as_str(), &mut self.scratch);
        let is_loopback = self.is_loopback;
        let mut flow = ControlFlow::Continue(());
        let is_taken = self.ring.take_block(|frame| {
            if is_loopback && frame.is_outgoing || flow.is_break() {
                return;
            }
            flow = sink.frame(&whole(&frame, scratch), Some(name));
        });
        if flow.is_break() {
            return Ok(SourceStatus::End);
        }
        if !self.is_stopped && !self.shutdown.is_requested() {
            return match is_taken {
                true => Ok(SourceStatus::More),
                false => self.wait(sink),
            };
        }
        if is_taken && self.left > 0 {
            self.left -= 1;
        } else if !is_taken && !self.has_waited {
            // The block that is being filled comes when it is old enough.
            self.has_waited = true;
            std::thread::sleep(2 * AGE);
        } else {
            return Ok(SourceStatus::End);
        }
        Ok(SourceStatus::More)
    }

    fn stop(&mut self) {
        self.is_stopped = true;
    }

    fn dropped(&mut self) -> Option<u64> {
        // The system begins anew whenever it was asked.
        let dropped = system::dropped(self.socket.as_fd()).ok()?;
        self.dropped += dropped;
        Some(self.dropped)
    }
}

/// Returns a frame as it was on the wire: the system takes the outer tag off.
fn whole<'a>(frame: &RingFrame<'a>, scratch: &'a mut Vec<u8>) -> CapturedFrame<'a> {
    /// Where the tag stood: behind the two addresses.
    const PLACE: usize = 12;
    let (bytes, sent) = match (frame.tag, frame.bytes.split_at_checked(PLACE)) {
        (Some(tag), Some((addresses, rest))) => {
            scratch.clear();
            scratch.extend(addresses);
            scratch.extend(tag);
            scratch.extend(rest);
            (&scratch[..], frame.sent + 4)
        }
        _ => (frame.bytes, frame.sent),
    };
    CapturedFrame {
        at: frame.at,
        interface: 0,
        link: LinkType::Ethernet,
        bytes,
        sent,
        comments: Comments::default(),
    }
}
