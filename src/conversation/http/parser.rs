use std::mem;

use super::stream::Piece;
use crate::wire::http::{Framing, HEAD_LIMIT, RequestHead, ResponseHead, chunk_size, head_end};

/// The longest chunk-size line that is read.
const LINE_LIMIT: usize = 64;

/// Splits one side of a connection into messages.
#[derive(Debug)]
pub(super) struct Parser {
    side: Side,
    state: State,
}

/// The sender of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

#[derive(Debug)]
enum State {
    /// A head, as far as it has arrived.
    Head(Vec<u8>),
    /// The number of bytes left of a body.
    Body(u64),
    /// The line with the size of a chunk.
    ChunkLine(Vec<u8>),
    /// The number of bytes left of a chunk, with the end of its line.
    Chunk(u64),
    /// The lines after the last chunk.
    Trailer(Vec<u8>),
    /// A body that ends with the connection.
    ToEnd,
    /// Bytes are missing: parsing continues at the next head.
    Lost,
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ParsedPart {
    /// The head of a request.
    Request(RequestHead),
    /// The head of a response.
    Response(ResponseHead),
    /// The number of bytes of a body, and the first of them.
    Body(u64, Vec<u8>),
    /// The end of the message.
    End,
    /// Bytes are missing.
    Lost,
}

impl Parser {
    pub fn new(side: Side) -> Self {
        Self {
            side,
            state: State::Head(Vec::new()),
        }
    }

    /// Reports whether a message has started and not ended.
    pub fn is_inside(&self) -> bool {
        match &self.state {
            State::Head(head) => !head.is_empty(),
            State::Lost => false,
            _ => true,
        }
    }

    /// Reports whether the message ends with the connection.
    pub fn is_to_end(&self) -> bool {
        matches!(self.state, State::ToEnd)
    }

    /// Parses a piece of the stream. `method` returns the method of the request that a response answers;
    /// `wants` is the number of bytes to keep of a body's start.
    pub fn take(
        &mut self,
        piece: Piece<'_>,
        method: &mut dyn FnMut() -> String,
        wants: usize,
        found: &mut Vec<ParsedPart>,
    ) {
        let mut rest = piece.bytes;
        while !rest.is_empty() {
            rest = self.step(rest, method, wants, found);
        }
        if piece.missing > 0 {
            self.miss(piece.missing as u64, found);
        }
    }

    /// Parses as much as it can, at least one byte, and returns the rest.
    fn step<'o>(
        &mut self,
        bytes: &'o [u8],
        method: &mut dyn FnMut() -> String,
        wants: usize,
        found: &mut Vec<ParsedPart>,
    ) -> &'o [u8] {
        match &mut self.state {
            State::Head(head) => {
                let known = head.len();
                let room = HEAD_LIMIT.saturating_sub(known);
                head.extend_from_slice(&bytes[..bytes.len().min(room)]);
                if !self.side.may_begin(head) {
                    return self.lose(found);
                }
                // The end may be split across two pieces.
                let Some(end) = head_end(head) else {
                    if head.len() >= HEAD_LIMIT {
                        return self.lose(found);
                    }
                    return &[];
                };
                let head = mem::take(head);
                let framing = match self.side {
                    Side::Client => RequestHead::parse(&head[..end]).map(|head| {
                        let body = match head.body {
                            Framing::Unspecified => Framing::Length(0),
                            framing => framing,
                        };
                        found.push(ParsedPart::Request(head));
                        body
                    }),
                    Side::Server => ResponseHead::parse(&head[..end]).map(|head| {
                        let body = head.body_after(&method());
                        found.push(ParsedPart::Response(head));
                        body
                    }),
                };
                let Some(framing) = framing else {
                    return self.lose(found);
                };
                self.state = match framing {
                    Framing::Length(0) => {
                        found.push(ParsedPart::End);
                        State::Head(Vec::new())
                    }
                    Framing::Length(length) => State::Body(length),
                    Framing::Chunked => State::ChunkLine(Vec::new()),
                    Framing::Unspecified => State::ToEnd,
                };
                bytes.get(end - known..).unwrap_or_default()
            }
            State::Body(left) => {
                let length = bytes
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                let (body, rest) = bytes.split_at(length);
                *left -= length as u64;
                let is_over = *left == 0;
                found.push(ParsedPart::Body(length as u64, kept(body, wants)));
                if is_over {
                    found.push(ParsedPart::End);
                    self.state = State::Head(Vec::new());
                }
                rest
            }
            State::Chunk(left) => {
                let length = bytes
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                let (body, rest) = bytes.split_at(length);
                *left -= length as u64;
                let is_over = *left == 0;
                // The last two bytes of a chunk end its line.
                found.push(ParsedPart::Body(length as u64, kept(body, wants)));
                if is_over {
                    self.state = State::ChunkLine(Vec::new());
                }
                rest
            }
            State::ChunkLine(line) => {
                let (part, rest, is_whole) = until_line(bytes);
                line.extend_from_slice(part);
                if line.len() > LINE_LIMIT {
                    return self.lose(found);
                }
                if !is_whole {
                    return rest;
                }
                let line = mem::take(line);
                let line = line.trim_ascii();
                self.state = match chunk_size(line) {
                    // The empty line after a chunk.
                    None if line.is_empty() => State::ChunkLine(Vec::new()),
                    None => return self.lose(found),
                    Some(0) => State::Trailer(Vec::new()),
                    Some(size) => State::Chunk(size),
                };
                rest
            }
            State::Trailer(line) => {
                let (part, rest, is_whole) = until_line(bytes);
                line.extend_from_slice(part);
                if line.len() > HEAD_LIMIT {
                    return self.lose(found);
                }
                if is_whole {
                    let is_empty = line.trim_ascii().is_empty();
                    line.clear();
                    if is_empty {
                        found.push(ParsedPart::End);
                        self.state = State::Head(Vec::new());
                    }
                }
                rest
            }
            State::ToEnd => {
                found.push(ParsedPart::Body(bytes.len() as u64, kept(bytes, wants)));
                &[]
            }
            State::Lost => {
                if self.side.may_begin(bytes) && bytes.len() > 8 {
                    self.state = State::Head(Vec::new());
                    return bytes;
                }
                &[]
            }
        }
    }

    /// Skips bytes that the capture does not hold.
    fn miss(&mut self, missing: u64, found: &mut Vec<ParsedPart>) {
        match &mut self.state {
            State::Body(left) | State::Chunk(left) if missing < *left => {
                *left -= missing;
                found.push(ParsedPart::Body(missing, Vec::new()));
            }
            State::Body(left) if missing == *left => {
                found.push(ParsedPart::Body(missing, Vec::new()));
                found.push(ParsedPart::End);
                self.state = State::Head(Vec::new());
            }
            State::ToEnd => found.push(ParsedPart::Body(missing, Vec::new())),
            State::Lost => {}
            _ => {
                self.lose(found);
            }
        }
    }

    fn lose(&mut self, found: &mut Vec<ParsedPart>) -> &'static [u8] {
        self.state = State::Lost;
        found.push(ParsedPart::Lost);
        &[]
    }
}

impl Side {
    fn may_begin(self, bytes: &[u8]) -> bool {
        match self {
            Self::Client => RequestHead::may_begin(bytes),
            Self::Server => ResponseHead::may_begin(bytes),
        }
    }
}

fn kept(bytes: &[u8], wants: usize) -> Vec<u8> {
    bytes[..bytes.len().min(wants)].to_vec()
}

/// Splits after the end of the line, if it has arrived.
fn until_line(bytes: &[u8]) -> (&[u8], &[u8], bool) {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&bytes[..=at], &bytes[at + 1..], true),
        None => (bytes, &[], false),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn server(pieces: &[(&str, usize)], method: &str) -> Vec<ParsedPart> {
        let mut parser = Parser::new(Side::Server);
        let mut found = Vec::new();
        for (bytes, missing) in pieces {
            let piece = Piece {
                bytes: bytes.as_bytes(),
                missing: *missing,
            };
            parser.take(piece, &mut || method.to_owned(), 0, &mut found);
        }
        found
    }

    /// Formats parts: statuses, body lengths, `.` for an end and `?` for missing bytes.
    fn summary(found: &[ParsedPart]) -> String {
        let words = found.iter().map(|it| match it {
            ParsedPart::Request(head) => head.method.clone(),
            ParsedPart::Response(head) => head.status.to_string(),
            ParsedPart::Body(length, _) => format!("+{length}"),
            ParsedPart::End => ".".to_owned(),
            ParsedPart::Lost => "?".to_owned(),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn messages_are_split_where_they_end() {
        const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        for (pieces, method, expected) in [
            (
                &[(&*format!("{OK}hello{OK}"), 0)][..],
                "GET",
                "200 +5 . 200",
            ),
            (&[(OK, 0), ("he", 2), ("o", 0)], "GET", "200 +2 +2 +1 ."),
            (&[(OK, 5)], "GET", "200 +5 ."),
            (&[(OK, 9)], "GET", "200 ?"),
            (&[(OK, 0)], "HEAD", "200 ."),
            (
                &[
                    (
                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r",
                        0,
                    ),
                    ("\n\r\n", 0),
                ],
                "GET",
                "200 +3 .",
            ),
            (
                &[("HTTP/1.0 404 No\r\n\r\ngone", 0), ("!", 0)],
                "GET",
                "404 +4 +1",
            ),
            (
                &[("HTTP/1", 0), (".1 204 No\r", 0), ("\n\r\n", 0)],
                "GET",
                "204 .",
            ),
            (&[("\x16\x03\x01", 0), (OK, 0)], "GET", "? 200"),
        ] {
            assert_eq!(summary(&server(pieces, method)), expected, "{pieces:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_pieces_never_panic(
            start in prop::sample::select(vec![
                "", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n", "GET / HTTP/1.1\r\n\r\n",
            ]),
            pieces in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..60), 0..20usize), 0..20),
        ) {
            for side in [Side::Client, Side::Server] {
                let mut parser = Parser::new(side);
                let mut found = Vec::new();
                let first = (start.as_bytes().to_vec(), 0);
                for (bytes, missing) in std::iter::once(&first).chain(&pieces) {
                    let piece = Piece { bytes, missing: *missing };
                    parser.take(piece, &mut || "GET".to_owned(), 4, &mut found);
                }
            }
        }
    }
}
