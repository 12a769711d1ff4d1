//! What an unexpected response means.

use std::io::Read;

use reqwest::StatusCode;
use reqwest::blocking::Response;
use serde_json::Value;

use super::client::Registry;
use super::error::RegistryError;

/// How many bytes of the registry's explanation are read.
const DETAIL_LIMIT: u64 = 16 << 10;

impl Registry<'_> {
    /// Returns a response that has one of the `expected` statuses.
    ///
    /// # Errors
    /// What any other status means.
    pub(super) fn expect(
        &self,
        response: Response,
        object: &str,
        expected: &[StatusCode],
    ) -> Result<Response, RegistryError> {
        if expected.contains(&response.status()) {
            Ok(response)
        } else {
            Err(self.status_error(response, object))
        }
    }

    /// Returns the error that an unexpected response stands for.
    pub(super) fn status_error(&self, response: Response, object: &str) -> RegistryError {
        let host = self.address.host.clone();
        let repository = &self.address.repository;
        match response.status() {
            StatusCode::UNAUTHORIZED => RegistryError::Unauthorized {
                host,
                has_credentials: self.credentials.is_some(),
            },
            StatusCode::FORBIDDEN => RegistryError::Forbidden {
                host,
                action: if self.pushes {
                    format!("write to `{repository}`")
                } else {
                    format!("read `{repository}`")
                },
            },
            StatusCode::NOT_FOUND => RegistryError::NotFound {
                repository: self.address.to_string(),
                object: object.to_owned(),
            },
            status => RegistryError::UnexpectedStatus {
                host,
                status: status.as_u16(),
                object: object.to_owned(),
                detail: detail(response),
                plain_http: self.options.plain_http,
            },
        }
    }

    pub(super) fn invalid_response(&self, reason: impl Into<String>) -> RegistryError {
        RegistryError::InvalidResponse {
            host: self.address.host.clone(),
            reason: reason.into(),
        }
    }
}

/// Returns the first message in a registry's error response.
///
/// Source: OCI distribution specification 1.1, "Error Codes".
fn detail(response: Response) -> String {
    let mut text = Vec::new();
    let _ = response.take(DETAIL_LIMIT).read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text);
    let message = match serde_json::from_str::<Value>(&text) {
        Ok(body) => {
            let first = &body["errors"][0];
            let message = first["message"].as_str().or(first["code"].as_str());
            message.unwrap_or_default().to_owned()
        }
        // A proxy in front of the registry may explain itself in one line; an HTML page does not help.
        Err(_) if text.trim_start().starts_with('<') => String::new(),
        Err(_) => text.lines().next().unwrap_or_default().trim().to_owned(),
    };
    message
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect()
}
