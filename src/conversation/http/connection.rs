use std::collections::VecDeque;
use std::net::SocketAddrV4;

use jiff::Timestamp;

use super::parser::{ParsedPart, Parser, Side};
use super::stream::{Piece, Stream};
use crate::conversation::files;
use crate::conversation::machines::MachineId;
use crate::conversation::start_point::StartPoint;
use crate::conversation::table::Aged;
use crate::wire::http::{RequestHead, ResponseHead};
use crate::wire::packet::TcpSegment;

/// The most requests of a connection that wait for their responses.
const REQUESTS: usize = 16;

/// The two ends of a connection, in order.
pub(in crate::conversation) type Ends = (SocketAddrV4, SocketAddrV4);

/// One TCP connection.
#[derive(Debug)]
pub(in crate::conversation) struct Connection {
    pub client: SocketAddrV4,
    pub server: SocketAddrV4,
    pub machine: Option<MachineId>,
    pub kind: Kind,
    pub began: (Timestamp, u64),
    pub last: Timestamp,
    /// How often the client sent a SYN, and whether the server accepted the connection.
    pub attempts: u32,
    pub is_accepted: bool,
    sides: [Direction; 2],
    pub requests: VecDeque<Request>,
    pub response: Option<Response>,
}

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::conversation) enum Kind {
    /// No data was sent yet.
    Unknown,
    Http,
    Tls,
    /// A protocol that is not followed.
    Other,
}

#[derive(Debug)]
struct Direction {
    stream: Stream,
    parser: Parser,
    /// The sequence number after the last byte, known from the FIN.
    end: Option<u32>,
}

/// A request that waits for its response.
#[derive(Clone, Debug)]
pub(in crate::conversation) struct Request {
    pub head: RequestHead,
    /// The start of the request, once its machine is known.
    pub began: Option<StartPoint>,
}

/// A response that has not ended yet.
#[derive(Debug)]
pub(in crate::conversation) struct Response {
    pub request: Option<Request>,
    pub head: ResponseHead,
    pub bytes: u64,
    /// The first bytes of the body.
    pub start: Vec<u8>,
    pub last: Timestamp,
}

/// An event in a segment.
pub(in crate::conversation) enum Event {
    /// A request started.
    Requested,
    /// A response ended, complete or not.
    Responded(Box<Response>, Ending),
    /// A TLS session started.
    Tls,
    /// The server refused the connection.
    Refused,
}

/// The end of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::conversation) enum Ending {
    Whole,
    /// The connection closed before the response was complete.
    Closed,
    /// One side reset the connection.
    Reset,
    /// The capture does not hold the whole response.
    Unseen,
    /// No more data followed.
    Silence,
    /// The capture ended before the response.
    Running,
}

impl Aged for Connection {
    fn last_seen(&self) -> Timestamp {
        self.last
    }
}

impl Connection {
    /// Creates a connection from its first captured segment.
    pub fn new(client: SocketAddrV4, server: SocketAddrV4, began: (Timestamp, u64)) -> Self {
        let direction = |side| Direction {
            stream: Stream::default(),
            parser: Parser::new(side),
            end: None,
        };
        Self {
            client,
            server,
            machine: None,
            kind: Kind::Unknown,
            began,
            last: began.0,
            attempts: 0,
            is_accepted: false,
            sides: [direction(Side::Client), direction(Side::Server)],
            requests: VecDeque::new(),
            response: None,
        }
    }

    /// Processes a segment of one side.
    pub fn take(
        &mut self,
        from_server: bool,
        segment: &TcpSegment<'_>,
        length: usize,
        now: (Timestamp, u64),
    ) -> Vec<Event> {
        self.last = now.0;
        let mut events = Vec::new();
        let flags = segment.flags;
        if flags.is_syn() {
            let direction = &mut self.sides[usize::from(from_server)];
            direction.stream.begin_at(segment.sequence.wrapping_add(1));
            if from_server {
                self.is_accepted = true;
            } else {
                self.attempts += 1;
            }
            return events;
        }
        if flags.is_rst() {
            let is_refusal = from_server && !self.is_accepted && self.attempts > 0;
            if is_refusal {
                self.kind = Kind::Other;
                events.push(Event::Refused);
            }
            self.end(Ending::Reset, now, &mut events);
            return events;
        }
        if length > 0 && self.kind == Kind::Unknown {
            self.kind = kind_of(from_server, segment.payload);
            if self.kind == Kind::Tls {
                events.push(Event::Tls);
            }
        }
        if self.kind == Kind::Http {
            self.push(from_server, segment, length, now, &mut events);
        }
        if flags.is_fin() {
            let end = segment.sequence.wrapping_add(length as u32);
            self.sides[usize::from(from_server)].end = Some(end);
        }
        if self.kind == Kind::Http && from_server {
            self.check_end(&mut events);
        }
        events
    }

    fn push(
        &mut self,
        from_server: bool,
        segment: &TcpSegment<'_>,
        length: usize,
        now: (Timestamp, u64),
        events: &mut Vec<Event>,
    ) {
        if length == 0 {
            return;
        }
        self.read(from_server, now, events, |stream, deliver| {
            stream.push(segment.sequence, segment.payload, length, deliver);
        });
    }

    /// Ends the connection, after reading the segments that still wait for earlier ones.
    pub fn end(&mut self, ending: Ending, now: (Timestamp, u64), events: &mut Vec<Event>) {
        if self.kind == Kind::Http {
            self.read(true, now, events, |stream, deliver| stream.flush(deliver));
        }
        self.end_response(ending, events);
    }

    fn read(
        &mut self,
        from_server: bool,
        now: (Timestamp, u64),
        events: &mut Vec<Event>,
        read: impl FnOnce(&mut Stream, &mut dyn FnMut(Piece<'_>)),
    ) {
        let mut found = Vec::new();
        // The first bytes of a body identify its format; the rest is not copied.
        let has_start = |it: &Response| it.start.len() >= files::HEAD;
        let wants = if self.response.as_ref().is_some_and(has_start) {
            0
        } else {
            files::HEAD
        };
        let Self {
            sides, requests, ..
        } = self;
        let Direction { stream, parser, .. } = &mut sides[usize::from(from_server)];
        // Several responses in one segment answer the requests in order.
        let mut answered = usize::from(self.response.is_some());
        let mut deliver = |piece: Piece<'_>| {
            let mut method = || {
                let at = answered;
                answered += 1;
                let request: Option<&Request> = requests.get(at);
                request.map_or_else(|| "GET".to_owned(), |it| it.head.method.clone())
            };
            parser.take(piece, &mut method, wants, &mut found);
        };
        read(stream, &mut deliver);
        for it in found {
            self.found(it, now, events);
        }
    }

    fn found(&mut self, found: ParsedPart, now: (Timestamp, u64), events: &mut Vec<Event>) {
        match found {
            ParsedPart::Request(head) => {
                if self.requests.len() >= REQUESTS {
                    self.requests.pop_front();
                }
                self.requests.push_back(Request { head, began: None });
                events.push(Event::Requested);
            }
            // A provisional response: the final one follows.
            ParsedPart::Response(head) if head.status < 200 => {}
            ParsedPart::Response(head) => {
                self.end_response(Ending::Unseen, events);
                self.response = Some(Response {
                    // It leaves the queue when the response ends.
                    request: self.requests.front().cloned(),
                    head,
                    bytes: 0,
                    start: Vec::new(),
                    last: now.0,
                });
            }
            ParsedPart::Body(length, start) => {
                if let Some(response) = &mut self.response {
                    response.bytes += length;
                    response.last = now.0;
                    let room = files::HEAD.saturating_sub(response.start.len());
                    response.start.extend(start.into_iter().take(room));
                }
            }
            ParsedPart::End => {
                if self.response.is_some() && self.is_response_over() {
                    self.end_response(Ending::Whole, events);
                }
            }
            ParsedPart::Lost => self.end_response(Ending::Unseen, events),
        }
    }

    /// Reports whether the end is the end of the response, not of a later request.
    fn is_response_over(&self) -> bool {
        let response = self.response.as_ref();
        response.is_some_and(|response| {
            let method = response.request.as_ref().map(|it| it.head.method.as_str());
            match response.head.body_after(method.unwrap_or("GET")) {
                crate::wire::http::Framing::Length(length) => response.bytes >= length,
                _ => !self.sides[1].parser.is_inside(),
            }
        })
    }

    /// Ends the current response if the server has closed the connection.
    fn check_end(&mut self, events: &mut Vec<Event>) {
        let Direction {
            stream,
            parser,
            end,
        } = &self.sides[1];
        if end.is_some_and(|end| stream.has_reached(end)) && self.response.is_some() {
            let ending = if parser.is_to_end() {
                Ending::Whole
            } else {
                Ending::Closed
            };
            self.end_response(ending, events);
        }
    }

    /// Ends the current response, if there is one.
    fn end_response(&mut self, ending: Ending, events: &mut Vec<Event>) {
        if let Some(response) = self.response.take() {
            self.requests.pop_front();
            events.push(Event::Responded(Box::new(response), ending));
        }
    }
}

/// Identifies the protocol by the first data.
fn kind_of(from_server: bool, bytes: &[u8]) -> Kind {
    match bytes {
        [] => Kind::Unknown,
        [0x16, 3, ..] if !from_server => Kind::Tls,
        _ if !from_server && RequestHead::may_begin(bytes) => Kind::Http,
        // The capture started in the middle of the connection.
        _ if from_server && ResponseHead::may_begin(bytes) && bytes.len() > 8 => Kind::Http,
        _ => Kind::Other,
    }
}
