//! Follows HTTP over TCP: requests, responses, their rates, and the outcome of each transfer.

mod connection;
mod parser;
mod stream;

use std::net::SocketAddrV4;

use jiff::{SignedDuration, Timestamp};

pub(super) use connection::{Connection, Ends};
use connection::{Ending, Event, Kind, Response};

use super::display::{display_file, display_rate, display_size, display_text, display_time};
use super::files;
use super::finding::FindingKind;
use super::machine::{Transfer, TransferOutcome};
use super::observer::Observer;
use super::report::milliseconds;
use super::start_point::StartPoint;
use crate::wire::http::Framing;
use crate::wire::packet::{Packet, TcpSegment};

/// The user agents that do not follow redirects and need a length.
const STRICT: [&str; 2] = ["UefiHttpBoot", "GRUB"];
/// The user agents whose boot may end at a missing file.
const LOADERS: [&str; 3] = ["UefiHttpBoot", "GRUB", "iPXE"];
/// The default port of HTTP servers.
const HTTP_PORT: u16 = 80;

impl Observer<'_> {
    /// Processes one segment.
    pub(super) fn observe_tcp(&mut self, packet: &Packet<'_>, segment: &TcpSegment<'_>) {
        self.recorder.totals.tcp += 1;
        let ends = if packet.source <= packet.destination {
            (packet.source, packet.destination)
        } else {
            (packet.destination, packet.source)
        };
        let now = (self.recorder.now(), self.recorder.packet());
        let is_new_attempt = segment.flags.is_syn() && !segment.flags.is_ack();
        if let Some(known) = self.tcp.get_mut(&ends)
            && is_new_attempt
            && (known.is_accepted || known.client != packet.source)
        {
            // A new connection with the same ports.
            self.end_connection(ends, Ending::Closed);
        }
        if self.tcp.get_mut(&ends).is_none() {
            let Some((client, server)) = roles(packet, segment) else {
                return;
            };
            self.tcp.insert(ends, Connection::new(client, server, now));
        }
        let Some(connection) = self.tcp.get_mut(&ends) else {
            return;
        };
        let from_server = packet.source == connection.server;
        let events = connection.take(from_server, segment, packet.length, now);
        if is_new_attempt && connection.machine.is_none() {
            // The first frame identifies the client's network card.
            let id = self
                .machines
                .known_client(packet.source_mac, *packet.source.ip());
            if let Some(connection) = self.tcp.get_mut(&ends) {
                connection.machine = id;
            }
        }
        for event in events {
            self.tcp_event(ends, packet, from_server, event);
        }
        if segment.flags.is_rst() {
            self.end_connection(ends, Ending::Reset);
        }
    }

    fn tcp_event(&mut self, ends: Ends, packet: &Packet<'_>, from_server: bool, event: Event) {
        let now = self.recorder.now();
        let Some(connection) = self.tcp.get_mut(&ends) else {
            return;
        };
        let (client, server) = (connection.client, connection.server);
        let mac = if from_server {
            packet.destination_mac
        } else {
            packet.source_mac
        };
        let id = match connection.machine {
            Some(id) => id,
            None => {
                let id = self.machines.of_client(mac, *client.ip(), now);
                connection.machine = Some(id);
                id
            }
        };
        match event {
            Event::Requested => {
                let Some(request) = connection.requests.back() else {
                    return;
                };
                let (method, target) = (&request.head.method, &request.head.target);
                let text = format!(
                    "{} `{}` from {server}",
                    display_text(method),
                    display_file(target)
                );
                let target = target.clone();
                self.recorder.add_comment(text);
                if let Some(machine) = self.machines.get_mut(id) {
                    files::request_begins(machine, &target);
                    files::check_bare_name(&mut self.recorder, machine, &target);
                    machine.stage();
                    let began = self.recorder.start_point(machine);
                    if let Some(request) = self
                        .tcp
                        .get_mut(&ends)
                        .and_then(|it| it.requests.back_mut())
                    {
                        request.began = Some(began);
                    }
                }
            }
            Event::Responded(response, ending) => self.responded(ends, &response, ending),
            Event::Tls => {
                if let Some(machine) = self.machines.get_mut(id) {
                    let text = format!("TLS to {server}, encrypted");
                    self.recorder.record(machine, "tls", text);
                    let stage = self.recorder.start_point(machine).stage;
                    machine.stage();
                    let transfer = Transfer {
                        protocol: "tls",
                        file: "unknown".to_owned(),
                        server: *server.ip(),
                        bytes: 0,
                        milliseconds: 0,
                        outcome: TransferOutcome::Unknown,
                        end: "not followed".to_owned(),
                        is_good: true,
                    };
                    machine.add_transfer(transfer, stage);
                }
            }
            Event::Refused => {
                if let Some(machine) = self.machines.get_mut(id) {
                    let text = format!("{server} refuses the connection: no server listens there");
                    self.recorder
                        .report_finding(machine, FindingKind::PortUnreachable, text);
                }
            }
        }
    }

    /// Records a response that has ended.
    fn responded(&mut self, ends: Ends, response: &Response, ending: Ending) {
        let Some(connection) = self.tcp.get_mut(&ends) else {
            return;
        };
        let Some(machine) = connection.machine.and_then(|id| self.machines.get_mut(id)) else {
            return;
        };
        let server = connection.server;
        let (at, packet) = connection.began;
        let stage = machine.stages.len().saturating_sub(1);
        let began = response.request.as_ref().and_then(|it| it.began);
        let began = began.unwrap_or(StartPoint { at, packet, stage });
        let request = response.request.as_ref().map(|it| &it.head);
        let method = request.map_or("GET", |it| it.method.as_str());
        let target = request.map_or("?", |it| it.target.as_str());
        let agent = request.and_then(|it| it.user_agent.as_deref());
        let agent = agent.unwrap_or_default();
        let status = response.head.status;
        let took = milliseconds(began.at, response.last);
        let file = display_file(target);
        let (end, is_good) = summary(response, method, ending, took);
        let transfer = Transfer {
            protocol: "http",
            file: file.clone(),
            server: *server.ip(),
            bytes: response.bytes,
            milliseconds: took,
            outcome: match status {
                _ if is_good => TransferOutcome::Whole,
                404 | 410 => TransferOutcome::Missing,
                400.. => TransferOutcome::Refused,
                _ => TransferOutcome::Cut,
            },
            end: end.clone(),
            is_good,
        };
        // GRUB and iPXE read large files in ranges: record one line for all of them.
        let pieces = (status == 206).then(|| target.to_owned());
        let is_further_piece = is_good && pieces.is_some() && machine.ranges_of == pieces;
        if !is_further_piece {
            machine.ranges_of = pieces;
            let text = format!("{method} `{file}` from {server}: {end}");
            self.recorder.record_at(machine, "http", text, began);
            machine.add_transfer(transfer.clone(), began.stage);
        }
        let recorder = &mut self.recorder;
        let request_text = format!("{method} `{file}` from {server}");
        let is_loader = agent.is_empty() || LOADERS.iter().any(|it| agent.starts_with(it));
        let is_strict = STRICT.iter().any(|it| agent.starts_with(it));
        match status {
            404 | 410 if is_loader => {
                files::is_missing(recorder, machine, target, &format!("HTTP: {status}"));
            }
            404 | 410 => {}
            400.. => {
                let text = format!("{request_text}: {status}");
                recorder.report_finding_at(machine, FindingKind::HttpError, text, began);
            }
            300..400 if is_strict && status != 304 => {
                let text = format!(
                    "{request_text}: {status}, for a client that does not follow redirects"
                );
                recorder.report_finding_at(machine, FindingKind::HttpRedirect, text, began);
            }
            200 if is_strict && response.head.length.is_none() => {
                let how = match response.head.body {
                    Framing::Chunked => "in chunks",
                    _ => "without `Content-Length`",
                };
                let text = format!("{request_text}: {status} {how}");
                let kind = FindingKind::HttpWithoutLength;
                recorder.report_finding_at(machine, kind, text, began);
            }
            _ => {}
        }
        if matches!(ending, Ending::Closed | Ending::Silence | Ending::Reset) && !is_good {
            let text = format!("{request_text}: {end}");
            recorder.report_finding_at(machine, FindingKind::TransferCut, text, began);
        }
        if is_good && (200..300).contains(&status) && method != "HEAD" {
            if matches!(ending, Ending::Whole) {
                files::check_head(recorder, machine, target, &response.start);
            }
            files::arrived(recorder, machine, target, &transfer, began);
        }
    }

    fn end_connection(&mut self, ends: Ends, ending: Ending) {
        if let Some(connection) = self.tcp.get_mut(&ends) {
            let now = (connection.last, self.recorder.packet());
            let mut events = Vec::new();
            connection.end(ending, now, &mut events);
            for event in events {
                if let Event::Responded(response, ending) = event {
                    self.responded(ends, &response, ending);
                }
            }
            self.tcp.remove(&ends);
        }
    }

    /// Ends the connections that have been silent since a time, or all at the end of the capture.
    pub(super) fn end_idle_tcp(&mut self, since: Timestamp, at_end: bool) {
        let limit = if at_end { self.recorder.now() } else { since };
        for (ends, connection) in self.tcp.take_idle(limit) {
            let ending = if at_end && connection.last > since {
                Ending::Running
            } else {
                Ending::Silence
            };
            let is_ignored = connection.attempts > 0
                && !connection.is_accepted
                && connection.kind != Kind::Other;
            let waited = self.recorder.now().duration_since(connection.began.0);
            if is_ignored && waited >= SignedDuration::from_secs(2) {
                let (at, packet) = connection.began;
                let id = connection
                    .machine
                    .or_else(|| self.machines.by_address(*connection.client.ip()));
                // Only machines that boot matter, not every client of the segment.
                if let Some(machine) = id.and_then(|id| self.machines.get_mut(id)) {
                    let text = format!("{} does not respond", connection.server);
                    let stage = self.recorder.start_point(machine).stage;
                    let began = StartPoint { at, packet, stage };
                    self.recorder
                        .report_finding_at(machine, FindingKind::HttpSilent, text, began);
                }
                continue;
            }
            self.tcp.insert(ends, connection);
            self.end_connection(ends, ending);
        }
    }
}

/// Describes how much arrived, how fast, and the outcome; also returns whether the outcome is good.
fn summary(response: &Response, method: &str, ending: Ending, took: i64) -> (String, bool) {
    let (status, bytes) = (response.head.status, response.bytes);
    let is_success = (200..400).contains(&status);
    let expected = match response.head.body_after(method) {
        Framing::Length(length) => Some(length),
        Framing::Chunked | Framing::Unspecified => None,
    };
    let is_whole = ending == Ending::Whole || expected.is_some_and(|length| bytes >= length);
    let of_all = match expected {
        Some(all) => format!("{} of {}", display_size(bytes), display_size(all)),
        None => display_size(bytes),
    };
    let text = match ending {
        _ if is_whole && method == "HEAD" => match response.head.length {
            Some(length) => format!("{status}, length {}", display_size(length)),
            None => format!("{status}, no length"),
        },
        _ if is_whole && bytes == 0 => status.to_string(),
        _ if is_whole => {
            let fast = display_rate(bytes, took).map(|it| format!(" ({it})"));
            let fast = fast.unwrap_or_default();
            format!(
                "{status}, {} in {}{fast}",
                display_size(bytes),
                display_time(took)
            )
        }
        Ending::Running => format!("{status}, still running, {of_all} so far"),
        Ending::Closed => format!("{status}, closed after {of_all}"),
        Ending::Reset => format!("{status}, reset after {of_all}"),
        Ending::Silence => format!("{status}, cut off after {of_all}, then silence"),
        Ending::Unseen | Ending::Whole => {
            format!("{status}, {of_all} captured; the rest is not in the capture")
        }
    };
    let is_open = matches!(ending, Ending::Running | Ending::Unseen);
    (text, is_success && (is_whole || is_open))
}

/// Identifies the client by the first captured segment of a connection. Returns client and server.
fn roles(packet: &Packet<'_>, segment: &TcpSegment<'_>) -> Option<(SocketAddrV4, SocketAddrV4)> {
    let flags = segment.flags;
    let (from, to) = (packet.source, packet.destination);
    if flags.is_rst() || flags.is_fin() && packet.length == 0 {
        return None;
    }
    if flags.is_syn() {
        return Some(if flags.is_ack() {
            (to, from)
        } else {
            (from, to)
        });
    }
    let is_request = crate::wire::http::RequestHead::may_begin(segment.payload);
    let is_response = crate::wire::http::ResponseHead::may_begin(segment.payload);
    match (is_request, is_response) {
        (true, _) if !segment.payload.is_empty() => Some((from, to)),
        (_, true) => Some((to, from)),
        _ if to.port() == HTTP_PORT || to.port() < from.port() => Some((from, to)),
        _ => Some((to, from)),
    }
}
