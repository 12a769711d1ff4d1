//! Authentication at one BMC: a session that always ends with a logout, or the password in each
//! request if the BMC has no sessions.

use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};

use super::context::TaskContext;
use super::error::{BmcError, after_colon};
use super::error_body::{DenialCause, is_wrong_password};
use super::fields::Fields;
use super::request::{ChangeRequest, PlannedRequest};
use super::transport::{Authorization, RedfishRequest, RedfishResponse, Transport};
use crate::machine::Secret;

/// The time limit of a logout, which also runs after the deadline of the task.
const LOGOUT_TIME: Duration = Duration::from_secs(5);

/// An authenticated connection to a BMC.
pub struct RedfishSession {
    transport: Transport,
    context: Arc<TaskContext>,
    username: String,
    password: Option<Secret>,
    authorization: Authorization,
    /// The collection of sessions; `None` to use basic authentication.
    sessions: Option<String>,
    /// The path of the open session, which the logout deletes.
    session: Option<String>,
}

impl RedfishSession {
    /// Wraps a connection without logging in.
    pub fn new(transport: Transport, context: Arc<TaskContext>) -> Self {
        Self {
            transport,
            context,
            username: String::new(),
            password: None,
            authorization: Authorization::Anonymous,
            sessions: None,
            session: None,
        }
    }

    /// Returns the connection.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Logs in. Tries a wrong password only once. Sends the password with each request instead if
    /// the BMC has no sessions or no free session, and under `--dry-run`.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn log_in(
        &mut self,
        username: &str,
        password: Secret,
        sessions: Option<String>,
    ) -> Result<(), BmcError> {
        self.context.report_progress("logging in");
        username.clone_into(&mut self.username);
        self.context.mask_password(&password);
        self.password = Some(password);
        self.sessions = sessions.filter(|_| !self.context.dry_run);
        self.open_session().await
    }

    async fn open_session(&mut self) -> Result<(), BmcError> {
        let (Some(path), Some(password)) = (&self.sessions, &self.password) else {
            return self.use_basic();
        };
        let body = json!({ "UserName": self.username, "Password": password.expose() });
        let context = Arc::clone(&self.context);
        let _login = context.lock_login().await;
        let response = self
            .transport
            .send(&RedfishRequest {
                method: Method::POST,
                path,
                body: Some(&body),
                authorization: &Authorization::Anonymous,
                if_match: None,
                retry_if_busy: false,
            })
            .await?;
        match response.status {
            401 => return Err(self.login_refused(&response)),
            // HPE iLO rejects a wrong password with 400. A second attempt with basic authentication
            // would count as a second failure.
            400 if is_wrong_password(&response.body) => return Err(self.login_failed()),
            403 => return Err(self.denied(&Method::POST, path, &response)),
            _ => {}
        }
        let is_success = response.is_success();
        let Some(mut token) = response.token.clone().filter(|_| is_success) else {
            return self.use_basic();
        };
        self.context
            .mask_secret(token.to_str().unwrap_or_default(), "…");
        token.set_sensitive(true);
        self.authorization = Authorization::Token(token);
        let id_in_body = Fields::of(&response.body)
            .raw("@odata.id")
            .map(str::to_owned);
        let location = response.location_path();
        self.session = location.or(id_in_body).filter(|path| path.starts_with('/'));
        Ok(())
    }

    fn use_basic(&mut self) -> Result<(), BmcError> {
        let password = self.password.as_ref().map_or("", Secret::expose);
        let pair = zeroize::Zeroizing::new(format!("{}:{password}", self.username));
        let encoded = zeroize::Zeroizing::new(format!("Basic {}", BASE64.encode(pair.as_bytes())));
        let mut value = HeaderValue::from_str(&encoded).map_err(|_| self.login_failed())?;
        value.set_sensitive(true);
        self.authorization = Authorization::Basic(value);
        self.sessions = None;
        Ok(())
    }

    /// Requests a resource. Returns every response except a refused login.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn get(&mut self, path: &str) -> Result<RedfishResponse, BmcError> {
        self.send(Method::GET, path, None, None).await
    }

    /// Requests a resource that must exist.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn require(&mut self, path: &str) -> Result<RedfishResponse, BmcError> {
        let response = self.get(path).await?;
        if response.is_success() {
            Ok(response)
        } else {
            Err(response.refusal(&Method::GET, path))
        }
    }

    /// Sends a change with the entity tag of the changed resource, if it has one. Returns `None` if
    /// the change was only recorded, under `--dry-run`.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn change(
        &mut self,
        request: &ChangeRequest,
        etag: Option<&str>,
    ) -> Result<Option<RedfishResponse>, BmcError> {
        let method = Method::from(request.method);
        let (path, body) = (&request.path, &request.body);
        if self.context.dry_run {
            self.context.plan(PlannedRequest {
                method: method.to_string(),
                path: path.clone(),
                body: Some(body.clone()),
            });
            return Ok(None);
        }
        let mut response = self.send(method.clone(), path, Some(body), etag).await?;
        // Source: RFC 9110 §13.1.1 (412), RFC 6585 §3 (428).
        if [412, 428].contains(&response.status) {
            let fresh = self.get(path).await?.etag;
            response = self
                .send(method.clone(), path, Some(body), fresh.as_deref())
                .await?;
            // Some BMCs send weak tags and compare them as strong ones.
            let strong = fresh.as_deref().and_then(|tag| tag.strip_prefix("W/"));
            if let (412, Some(strong)) = (response.status, strong) {
                response = self.send(method, path, Some(body), Some(strong)).await?;
            }
        }
        Ok(Some(response))
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        if_match: Option<&str>,
    ) -> Result<RedfishResponse, BmcError> {
        let mut was_renewed = false;
        loop {
            let request = RedfishRequest {
                method: method.clone(),
                path,
                body,
                authorization: &self.authorization,
                if_match,
                retry_if_busy: true,
            };
            let response = self.transport.send(&request).await?;
            match response.status {
                // The password was accepted before: the session has ended, for example because the
                // BMC restarted.
                401 if !was_renewed && matches!(self.authorization, Authorization::Token(_)) => {
                    was_renewed = true;
                    self.session = None;
                    self.open_session().await?;
                }
                401 => return Err(self.login_refused(&response)),
                403 => return Err(self.denied(&method, path, &response)),
                _ => return Ok(response),
            }
        }
    }

    fn login_failed(&self) -> BmcError {
        BmcError::LoginFailed {
            url: self.transport.url().to_owned(),
            username: self.username.clone(),
        }
    }

    /// Makes the error for a login with status 401. Some BMCs use it for expired passwords, too.
    fn login_refused(&self, response: &RedfishResponse) -> BmcError {
        match DenialCause::find(&response.body) {
            DenialCause::PasswordChangeRequired => self.password_change_required(),
            DenialCause::License | DenialCause::Role => self.login_failed(),
        }
    }

    fn password_change_required(&self) -> BmcError {
        BmcError::PasswordChangeRequired {
            url: self.transport.url().to_owned(),
            username: self.username.clone(),
        }
    }

    /// Makes the error for a request with status 403.
    fn denied(&self, method: &Method, path: &str, response: &RedfishResponse) -> BmcError {
        let action = format!("send `{method} {path}`{}", after_colon(&response.message));
        match DenialCause::find(&response.body) {
            DenialCause::PasswordChangeRequired => self.password_change_required(),
            DenialCause::License => BmcError::LicenseRequired { action },
            DenialCause::Role => BmcError::NotAllowed {
                username: self.username.clone(),
                action,
            },
        }
    }

    /// Ends the session, if there is one. A BMC that does not respond ends it by itself.
    pub async fn log_out(&mut self) {
        let Some(path) = self.session.take() else {
            return;
        };
        let request = RedfishRequest {
            method: Method::DELETE,
            path: &path,
            body: None,
            authorization: &self.authorization,
            if_match: None,
            retry_if_busy: false,
        };
        let sent = self.transport.send_once(&request);
        let _ = tokio::time::timeout(LOGOUT_TIME, sent).await;
        self.authorization = Authorization::Anonymous;
    }
}
