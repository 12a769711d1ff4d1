use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use super::fetched::{Fetched, Fetching, NotFetched};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// The longest text that is kept, in octets.
const TEXT_LIMIT: u64 = 4 << 20;

/// An HTTP client whose requests for the site's URLs go to where the site's server really answers.
pub struct Web {
    client: reqwest::blocking::Client,
    base: String,
    at: SocketAddr,
}

impl Web {
    /// Maps `base`, the root of the site's URLs, to `at`.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn new(base: &str, at: SocketAddr) -> Result<Self, String> {
        let redirects = reqwest::redirect::Policy::none();
        // A client wants to know who would do TLS, also where there is none.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::blocking::Client::builder()
            .redirect(redirects)
            .timeout(PATIENCE)
            .tls_certs_only([])
            .build();
        Ok(Self {
            client: client.map_err(|error| error.to_string())?,
            base: base.to_owned(),
            at,
        })
    }

    /// Fetches a text.
    ///
    /// # Errors
    /// What went wrong, with the status.
    pub fn text(&self, url: &str) -> Result<String, String> {
        let response = self.send(reqwest::Method::GET, url, String::new())?;
        let mut bytes = Vec::new();
        response
            .take(TEXT_LIMIT)
            .read_to_end(&mut bytes)
            .map_err(|error| error.to_string())?;
        String::from_utf8(bytes).map_err(|error| error.to_string())
    }

    /// Fetches a file, and keeps its first `keep` octets.
    ///
    /// # Errors
    /// What went wrong, with the status.
    pub fn file(&self, url: &str, keep: usize) -> Result<Fetched, NotFetched> {
        let mut response = self.request(reqwest::Method::GET, url, String::new())?;
        let mut fetching = Fetching::new(keep);
        let mut buffer = vec![0; 256 << 10];
        loop {
            let read = response.read(&mut buffer);
            match read.map_err(|error| NotFetched::Broken(error.to_string()))? {
                0 => return Ok(fetching.end()),
                read => fetching.take(&buffer[..read]),
            }
        }
    }

    /// Posts a message.
    ///
    /// # Errors
    /// What went wrong, with the status.
    pub fn post(&self, url: &str, message: &str) -> Result<String, String> {
        let response = self.send(reqwest::Method::POST, url, message.to_owned())?;
        response.text().map_err(|error| error.to_string())
    }

    fn send(
        &self,
        method: reqwest::Method,
        url: &str,
        body: String,
    ) -> Result<reqwest::blocking::Response, String> {
        self.request(method, url, body)
            .map_err(|error| error.to_string())
    }

    fn request(
        &self,
        method: reqwest::Method,
        url: &str,
        body: String,
    ) -> Result<reqwest::blocking::Response, NotFetched> {
        let Some(path) = url.strip_prefix(&self.base) else {
            return Err(NotFetched::Broken(format!(
                "`{url}` does not lie below the site's `{}`",
                self.base
            )));
        };
        let host = self
            .base
            .split("://")
            .nth(1)
            .unwrap_or_default()
            .split('/')
            .next()
            .unwrap_or_default();
        let request = self
            .client
            .request(method, format!("http://{}{path}", self.at))
            .header("Host", host)
            .body(body);
        let response = request
            .send()
            .map_err(|error| NotFetched::Broken(format!("{}: {}", self.at, error.without_url())))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response.text().unwrap_or_default();
        Err(NotFetched::Refused {
            is_missing: status == reqwest::StatusCode::NOT_FOUND,
            said: format!("{}: {}", status.as_u16(), text.trim()),
        })
    }
}
