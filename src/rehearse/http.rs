use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use super::download::{Download, DownloadError, DownloadedFile};

/// The time limit of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(600);
/// The largest text that is read, in bytes.
const TEXT_LIMIT: u64 = 4 << 20;

/// An HTTP client that sends requests for the site's URLs to the address of the rehearsal's server.
pub struct WebClient {
    client: reqwest::blocking::Client,
    base: String,
    at: SocketAddr,
}

impl WebClient {
    /// Maps `base`, the root of the site's URLs, to `at`.
    ///
    /// # Errors
    /// If the client cannot be created.
    pub fn new(base: &str, at: SocketAddr) -> Result<Self, String> {
        let redirects = reqwest::redirect::Policy::none();
        // reqwest needs a TLS provider even for plain HTTP.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::blocking::Client::builder()
            .redirect(redirects)
            .timeout(REQUEST_TIMEOUT)
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
    /// Why the request failed, with the HTTP status.
    pub fn text(&self, url: &str) -> Result<String, String> {
        let response = self.send(reqwest::Method::GET, url, String::new())?;
        let mut bytes = Vec::new();
        response
            .take(TEXT_LIMIT)
            .read_to_end(&mut bytes)
            .map_err(|error| error.to_string())?;
        String::from_utf8(bytes).map_err(|error| error.to_string())
    }

    /// Fetches a file and keeps its first `keep` bytes.
    ///
    /// # Errors
    /// Why the request failed, with the HTTP status.
    pub fn file(&self, url: &str, keep: usize) -> Result<DownloadedFile, DownloadError> {
        let mut response = self.request(reqwest::Method::GET, url, String::new())?;
        let mut download = Download::new(keep);
        let mut buffer = vec![0; 256 << 10];
        loop {
            let read = response.read(&mut buffer);
            match read.map_err(|error| DownloadError::Failed(error.to_string()))? {
                0 => return Ok(download.finish()),
                length => download.push(&buffer[..length]),
            }
        }
    }

    /// Posts a message.
    ///
    /// # Errors
    /// Why the request failed, with the HTTP status.
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
    ) -> Result<reqwest::blocking::Response, DownloadError> {
        let Some(path) = url.strip_prefix(&self.base) else {
            return Err(DownloadError::Failed(format!(
                "`{url}` is not below the site's base URL `{}`",
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
        let response = request.send().map_err(|error| {
            DownloadError::Failed(format!("{}: {}", self.at, error.without_url()))
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response.text().unwrap_or_default();
        Err(DownloadError::Refused {
            is_missing: status == reqwest::StatusCode::NOT_FOUND,
            message: format!("{}: {}", status.as_u16(), text.trim()),
        })
    }
}
