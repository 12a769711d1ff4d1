//! What lets us in: a name and a password, or a token from where the registry says.
//!
//! Source: Docker's "Token Authentication Specification".

use std::io::Read;
use std::sync::PoisonError;

use reqwest::blocking::Response;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use reqwest::{StatusCode, Url};
use serde_json::Value;

use super::challenge::Challenge;
use super::client::{Make, Registry};
use super::credentials::Credentials;
use crate::bundle::transfer::TransferError;
use crate::machine::Secret;
use crate::retry;

impl Registry<'_> {
    /// Gets what a challenge asks for.
    pub(super) fn authorize(&self, response: &Response) -> Result<(), TransferError> {
        let refused = || TransferError::Unauthorized {
            host: self.address.host.clone(),
            as_user: self.credentials.is_some(),
        };
        let headers = response.headers().get_all(WWW_AUTHENTICATE);
        let mut challenges = headers
            .iter()
            .filter_map(|it| Challenge::read(it.to_str().ok()?));
        let authorization = match challenges.next().ok_or_else(refused)? {
            Challenge::Basic => {
                let basic = self.credentials.as_ref().and_then(Credentials::basic);
                Secret::new(format!("Basic {}", basic.ok_or_else(refused)?.expose()))
            }
            Challenge::Bearer { realm, service } => {
                let token = self.token(&realm, service.as_deref())?;
                Secret::new(format!("Bearer {}", token.expose()))
            }
        };
        let mut known = self
            .authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *known = Some(authorization);
        Ok(())
    }

    /// Fetches a token that lets us do what we want to.
    fn token(&self, realm: &str, service: Option<&str>) -> Result<Secret, TransferError> {
        let rights = if self.pushes { "pull,push" } else { "pull" };
        let scope = format!("repository:{}:{rights}", self.address.repository);
        let mut query = vec![("scope", scope.as_str())];
        query.extend(service.map(|service| ("service", service)));
        let parsed = |query: &[(&str, &str)]| {
            Url::parse_with_params(realm, query)
                .map_err(|_| self.unreachable(&format!("its realm `{realm}` is no URL")))
        };
        let what = "a token";
        let make: Make<'_> = &|registry| match &registry.credentials {
            Some(Credentials::Identity(token)) => {
                let mut form = query.clone();
                form.extend([
                    ("grant_type", "refresh_token"),
                    ("client_id", "pxectl"),
                    ("refresh_token", token.expose()),
                ]);
                let body = parsed(&form)?.query().unwrap_or_default().to_owned();
                let kind = "application/x-www-form-urlencoded";
                let url = parsed(&[])?;
                Ok(registry
                    .reading
                    .post(url)
                    .header(CONTENT_TYPE, kind)
                    .body(body))
            }
            other => {
                let request = registry.reading.get(parsed(&query)?);
                let basic = other.as_ref().and_then(Credentials::basic);
                Ok(match basic {
                    Some(basic) => {
                        request.header(AUTHORIZATION, format!("Basic {}", basic.expose()))
                    }
                    None => request,
                })
            }
        };
        let mut tries = 0;
        let response = loop {
            match make(self)?.send() {
                Ok(response) if !retry::is_passing(response.status().as_u16()) => break response,
                failed => {
                    tries += 1;
                    self.wait_or_fail(failed, what, tries)?;
                }
            }
        };
        let response = self.expect(response, what, &[StatusCode::OK])?;
        let mut text = Vec::new();
        let read = response.take(1 << 20).read_to_end(&mut text);
        read.map_err(|error| self.unreachable(&error))?;
        let answer: Value = serde_json::from_slice(&text).unwrap_or_default();
        let token = answer["token"].as_str().or(answer["access_token"].as_str());
        // A token becomes a header: what cannot be one is none.
        token
            .filter(|token| token.chars().all(|c| c.is_ascii_graphic()))
            .map(Secret::from)
            .ok_or_else(|| self.unreachable(&"it answered a request for a token without one"))
    }
}
