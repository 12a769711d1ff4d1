//! The heads of captured HTTP/1.1 messages.

use std::str;

/// The longest head that is read.
pub const HEAD_LIMIT: usize = 16 * 1024;

/// The head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// `GET`, `HEAD`, …
    pub method: String,
    /// The path with its query, or a whole URL.
    pub target: String,
    /// `Host`.
    pub host: Option<String>,
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// How the body is framed.
    pub body: Framing,
}

/// The head of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status: three digits.
    pub status: u16,
    /// `Content-Length`, even if no body follows.
    pub length: Option<u64>,
    /// How the body is framed, if one follows.
    pub body: Framing,
}

/// How the end of a body is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By its length in bytes.
    Length(u64),
    /// By an empty chunk.
    Chunked,
    /// By no header: a request has no body, and a response ends with the connection.
    Unspecified,
}

impl RequestHead {
    /// The methods that are recognized.
    const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];

    /// Reports whether a request can start with these bytes; a few are enough.
    pub fn may_begin(bytes: &[u8]) -> bool {
        Self::METHODS.iter().any(|method| {
            let method = method.as_bytes();
            match bytes.split_at_checked(method.len()) {
                Some((head, rest)) => head == method && rest.first().is_none_or(|it| *it == b' '),
                None => !bytes.is_empty() && method.starts_with(bytes),
            }
        })
    }

    /// Parses a head, up to its empty line or the end; `None` if it is not a head of this kind.
    ///
    /// Source: RFC 9112 §3.
    pub fn parse(head: &[u8]) -> Option<Self> {
        let mut lines = lines(head);
        let first = text(lines.next()?);
        let mut words = first.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        if !Self::METHODS.contains(&method) || !words.next()?.starts_with("HTTP/1.") {
            return None;
        }
        let mut found = Self {
            method: method.to_owned(),
            target: target.to_owned(),
            host: None,
            user_agent: None,
            body: Framing::Unspecified,
        };
        for (name, value) in lines.filter_map(field) {
            match name.as_str() {
                "host" => found.host = Some(value),
                "user-agent" => found.user_agent = Some(value),
                _ => found.body = found.body.after(&name, &value),
            }
        }
        Some(found)
    }
}

impl ResponseHead {
    /// Reports whether a response can start with these bytes; a few are enough.
    pub fn may_begin(bytes: &[u8]) -> bool {
        let start: &[u8] = b"HTTP/1.";
        !bytes.is_empty() && (bytes.starts_with(start) || start.starts_with(bytes))
    }

    /// Parses a head, up to its empty line or the end; `None` if it is not a head of this kind.
    ///
    /// Source: RFC 9112 §4.
    pub fn parse(head: &[u8]) -> Option<Self> {
        let mut lines = lines(head);
        let first = text(lines.next()?);
        let rest = first.strip_prefix("HTTP/1.")?;
        let status = rest.split(' ').nth(1)?;
        let status = status.parse().ok().filter(|it| (100..1000).contains(it))?;
        let mut found = Self {
            status,
            length: None,
            body: Framing::Unspecified,
        };
        for (name, value) in lines.filter_map(field) {
            if name == "content-length" {
                found.length = value.parse().ok();
            }
            found.body = found.body.after(&name, &value);
        }
        Some(found)
    }

    /// Returns how the body that follows is framed, if the request had this method.
    ///
    /// Source: RFC 9112 §6.3.
    pub fn body_after(&self, method: &str) -> Framing {
        if method == "HEAD" || self.status < 200 || matches!(self.status, 204 | 304) {
            return Framing::Length(0);
        }
        self.body
    }
}

impl Framing {
    /// Applies one more header; chunked encoding takes precedence over a length.
    fn after(self, name: &str, value: &str) -> Self {
        match name {
            "transfer-encoding" if value.to_ascii_lowercase().ends_with("chunked") => Self::Chunked,
            "content-length" if self != Self::Chunked => value.parse().map_or(self, Self::Length),
            _ => self,
        }
    }
}

/// Returns the offset after the empty line that ends the head.
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    end.map(|at| at + 4)
}

fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .take_while(|line| !line.is_empty())
}

fn field(line: &[u8]) -> Option<(String, String)> {
    let line = text(line);
    let (name, value) = line.split_once(':')?;
    Some((name.to_ascii_lowercase(), value.trim().to_owned()))
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}

/// Parses the size of a chunk: hexadecimal digits, up to an extension.
///
/// Source: RFC 9112 §7.1.
pub fn chunk_size(line: &[u8]) -> Option<u64> {
    let line = str::from_utf8(line).ok()?;
    let digits = line.split(';').next()?.trim();
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_is_read_with_its_host_and_user_agent() {
        let head = b"GET /m/a/b?c HTTP/1.1\r\nHost: 10.20.0.10:8080\r\nuser-agent: iPXE/1.21.1\r\n\r\nx: y";
        let head = RequestHead::parse(head).unwrap();
        assert_eq!((&*head.method, &*head.target), ("GET", "/m/a/b?c"));
        assert_eq!(head.host.as_deref(), Some("10.20.0.10:8080"));
        assert_eq!(head.user_agent.as_deref(), Some("iPXE/1.21.1"));
        assert_eq!(head.body, Framing::Unspecified);
        for bad in ["GET /", "GET / SIP/2.0", "get / HTTP/1.1", "", "\r\n"] {
            assert_eq!(RequestHead::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_body_is_framed_by_chunks_a_length_or_the_end() {
        for (head, method, expected) in [
            ("200 OK\r\nContent-Length: 12", "GET", Framing::Length(12)),
            ("200 OK\r\nContent-Length: 12", "HEAD", Framing::Length(0)),
            (
                "200 OK\r\ntransfer-encoding: Chunked\r\ncontent-length: 3",
                "GET",
                Framing::Chunked,
            ),
            (
                "200 OK\r\nContent-Length: many",
                "GET",
                Framing::Unspecified,
            ),
            ("304 Not Modified", "GET", Framing::Length(0)),
            ("100 Continue", "POST", Framing::Length(0)),
        ] {
            let head = ResponseHead::parse(format!("HTTP/1.1 {head}\r\n\r\n").as_bytes());
            assert_eq!(head.unwrap().body_after(method), expected);
        }
        assert_eq!(ResponseHead::parse(b"HTTP/1.1 OK"), None);
        assert_eq!(ResponseHead::parse(b"HTTP/2 200"), None);
        assert_eq!(chunk_size(b"1A;x=y"), Some(26));
        assert_eq!(chunk_size(b"nothing"), None);
    }

    #[test]
    fn a_few_bytes_show_which_message_can_start() {
        for (bytes, request, response) in [
            ("G", true, false),
            ("GET ", true, false),
            ("GETS", false, false),
            ("HTTP/1.1 2", false, true),
            ("H", true, true),
            ("", false, false),
            ("\x16\x03\x01", false, false),
        ] {
            let seen = (
                RequestHead::may_begin(bytes.as_bytes()),
                ResponseHead::may_begin(bytes.as_bytes()),
            );
            assert_eq!(seen, (request, response), "{bytes}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = (RequestHead::parse(&bytes), ResponseHead::parse(&bytes));
            let _ = (head_end(&bytes), chunk_size(&bytes));
            let request = [&b"GET / HTTP/1.1\r\n"[..], &bytes].concat();
            prop_assert!(RequestHead::parse(&request).is_some());
        }
    }
}
