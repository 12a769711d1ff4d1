//! Authorization of requests: a user name with a password, or a token from the server that the
//! registry names.
//!
//! Source: Docker's "Token Authentication Specification".

use std::io::Read;
use std::sync::PoisonError;

use reqwest::blocking::Response;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use reqwest::{StatusCode, Url};
use serde_json::Value;

use super::challenge::Challenge;
use super::client::{MakeRequest, Registry};
use super::credentials::Credentials;
use super::error::RegistryError;
use crate::machine::Secret;
use crate::retry;

/// The largest response of a token server that is read, in bytes.
const TOKEN_RESPONSE_LIMIT: u64 = 1 << 20;

impl Registry<'_> {
    /// Gets the authorization that the challenge in a response demands, for all later requests.
    pub(super) fn authorize(&self, response: &Response) -> Result<(), RegistryError> {
        let unauthorized = || RegistryError::Unauthorized {
            host: self.address.host.clone(),
            has_credentials: self.credentials.is_some(),
        };
        let headers = response.headers().get_all(WWW_AUTHENTICATE);
        let challenge = headers
            .iter()
            .find_map(|value| Challenge::parse(value.to_str().ok()?));
        let authorization = match challenge.ok_or_else(unauthorized)? {
            Challenge::Basic => {
                let basic = self.credentials.as_ref().and_then(Credentials::basic);
                Secret::new(format!(
                    "Basic {}",
                    basic.ok_or_else(unauthorized)?.expose()
                ))
            }
            Challenge::Bearer { realm, service } => {
                let token = self.token(&realm, service.as_deref())?;
                Secret::new(format!("Bearer {}", token.expose()))
            }
        };
        let mut current = self
            .authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *current = Some(authorization);
        Ok(())
    }

    /// Fetches a token for the rights that this client needs.
    fn token(&self, realm: &str, service: Option<&str>) -> Result<Secret, RegistryError> {
        let rights = if self.pushes { "pull,push" } else { "pull" };
        let scope = format!("repository:{}:{rights}", self.address.repository);
        let mut query = vec![("scope", scope.as_str())];
        query.extend(service.map(|service| ("service", service)));
        let url = |query: &[(&str, &str)]| {
            Url::parse_with_params(realm, query)
                .map_err(|_| self.invalid_response(format!("the realm `{realm}` is not a URL")))
        };
        let request: MakeRequest<'_> = &|registry| {
            if let Some(Credentials::IdentityToken(token)) = &registry.credentials {
                let mut form = query.clone();
                form.extend([
                    ("grant_type", "refresh_token"),
                    ("client_id", "pxectl"),
                    ("refresh_token", token.expose()),
                ]);
                let body = url(&form)?.query().unwrap_or_default().to_owned();
                return Ok(registry
                    .reading
                    .post(url(&[])?)
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(body));
            }
            let request = registry.reading.get(url(&query)?);
            let basic = registry.credentials.as_ref().and_then(Credentials::basic);
            Ok(match basic {
                Some(basic) => request.header(AUTHORIZATION, format!("Basic {}", basic.expose())),
                None => request,
            })
        };
        let object = "token";
        let mut failures = 0;
        let response = loop {
            match request(self)?.send() {
                Ok(response) if !retry::is_transient(response.status().as_u16()) => break response,
                failed => {
                    failures += 1;
                    self.wait_or_fail(failed, object, failures)?;
                }
            }
        };
        let response = self.expect(response, object, &[StatusCode::OK])?;
        let mut text = Vec::new();
        response
            .take(TOKEN_RESPONSE_LIMIT)
            .read_to_end(&mut text)
            .map_err(|error| self.broken(&error))?;
        let body: Value = serde_json::from_slice(&text).unwrap_or_default();
        let token = body["token"].as_str().or(body["access_token"].as_str());
        // The token becomes a header, so it must be plain text.
        token
            .filter(|token| token.chars().all(|c| c.is_ascii_graphic()))
            .map(Secret::from)
            .ok_or_else(|| {
                self.invalid_response("a token was requested, and the response has none")
            })
    }
}
