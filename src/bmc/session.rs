//! Who we are to one controller: a session that always ends in a log-out, or the password with each
//! request where there are no sessions.

use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};

use super::fields::Fields;
use super::refusal::says_wrong_password;
use super::transport::{Answer, Authorization, Request, Transport};
use super::{BmcError, Context, Planned};
use crate::machine::Secret;

/// How long a log-out may take, also when the time of the task is over.
const LOG_OUT_TIME: Duration = Duration::from_secs(5);

/// An account on a controller.
pub struct Account {
    transport: Transport,
    context: Arc<Context>,
    username: String,
    password: Option<Secret>,
    authorization: Authorization,
    /// Where sessions begin.
    sessions: Option<String>,
    /// Where our session is, to end it.
    session: Option<String>,
}

impl Account {
    /// Wraps the way to a controller; nobody is logged in yet.
    pub fn new(transport: Transport, context: Arc<Context>) -> Self {
        Self {
            transport,
            context,
            username: String::new(),
            password: None,
            authorization: Authorization::Nobody,
            sessions: None,
            session: None,
        }
    }

    /// Returns the way to the controller.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Logs in. A wrong password is tried once. Where there are no sessions, or no more of them,
    /// and under `--dry-run`, the password goes along with each request instead.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn log_in(
        &mut self,
        username: &str,
        password: Secret,
        sessions: Option<String>,
    ) -> Result<(), BmcError> {
        self.context.says("logging in");
        username.clone_into(&mut self.username);
        self.context.cover_password(&password);
        self.password = Some(password);
        self.sessions = sessions.filter(|_| !self.context.dry_run);
        self.begin().await
    }

    async fn begin(&mut self) -> Result<(), BmcError> {
        let (Some(path), Some(password)) = (&self.sessions, &self.password) else {
            return self.use_basic();
        };
        let body = json!({ "UserName": self.username, "Password": password.expose() });
        let context = Arc::clone(&self.context);
        let _until_it_is_known = context.begin_login().await;
        let answer = self
            .transport
            .send(&Request {
                method: Method::POST,
                path,
                body: Some(&body),
                authorization: &Authorization::Nobody,
                if_match: None,
                is_patient: false,
            })
            .await?;
        match answer.status {
            401 => return Err(self.wrong_password()),
            // HPE's iLO refuses a password with 400. To try it again with basic
            // authentication would count as a second failure.
            400 if says_wrong_password(&answer.body) => return Err(self.wrong_password()),
            403 => return Err(self.not_allowed(&Method::POST, path, &answer)),
            _ => {}
        }
        let Some(token) = answer.token.filter(|_| (200..300).contains(&answer.status)) else {
            return self.use_basic();
        };
        self.context.cover(token.to_str().unwrap_or_default(), "…");
        let mut token = token;
        token.set_sensitive(true);
        self.authorization = Authorization::Token(token);
        let own = Fields::of(&answer.body).raw("@odata.id").map(str::to_owned);
        // The header may hold a whole URL; we only ever speak to this controller.
        let place = answer
            .location
            .map(|location| match location.split_once("://") {
                Some((_, rest)) => rest
                    .find('/')
                    .map_or_else(String::new, |at| rest[at..].to_owned()),
                None => location,
            });
        self.session = place.or(own).filter(|path| path.starts_with('/'));
        Ok(())
    }

    fn use_basic(&mut self) -> Result<(), BmcError> {
        let password = self.password.as_ref().map_or("", Secret::expose);
        let pair = zeroize::Zeroizing::new(format!("{}:{password}", self.username));
        let encoded = zeroize::Zeroizing::new(format!("Basic {}", BASE64.encode(pair.as_bytes())));
        let mut value = HeaderValue::from_str(&encoded).map_err(|_| self.wrong_password())?;
        value.set_sensitive(true);
        self.authorization = Authorization::Basic(value);
        self.sessions = None;
        Ok(())
    }

    /// Asks for a resource; its answer is returned whatever it is, but for a refused login.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn get(&mut self, path: &str) -> Result<Answer, BmcError> {
        self.send(Method::GET, path, None, None).await
    }

    /// Asks for a resource that must be there.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn need(&mut self, path: &str) -> Result<Answer, BmcError> {
        let answer = self.get(path).await?;
        match answer.is_success() {
            true => Ok(answer),
            false => Err(answer.refused(&Method::GET, path)),
        }
    }

    /// Sends what changes something, with the entity tag of what it changes, where that has one.
    /// `None`: under `--dry-run` it was noted and not sent.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn change(
        &mut self,
        method: Method,
        path: &str,
        body: &Value,
        etag: Option<&str>,
    ) -> Result<Option<Answer>, BmcError> {
        if self.context.dry_run {
            self.context.plan(Planned {
                method: method.to_string(),
                path: path.to_owned(),
                body: Some(body.clone()),
            });
            return Ok(None);
        }
        let mut answer = self.send(method.clone(), path, Some(body), etag).await?;
        // Source: RFC 9110 §13.1.1 (412), RFC 6585 §3 (428).
        if [412, 428].contains(&answer.status) {
            let fresh = self.get(path).await?.etag;
            answer = self
                .send(method.clone(), path, Some(body), fresh.as_deref())
                .await?;
            // Some compare strongly what they hand out as weak.
            let strong = fresh.as_deref().and_then(|tag| tag.strip_prefix("W/"));
            if let (412, Some(strong)) = (answer.status, strong) {
                answer = self.send(method, path, Some(body), Some(strong)).await?;
            }
        }
        Ok(Some(answer))
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        if_match: Option<&str>,
    ) -> Result<Answer, BmcError> {
        let mut was_renewed = false;
        loop {
            let request = Request {
                method: method.clone(),
                path,
                body,
                authorization: &self.authorization,
                if_match,
                is_patient: true,
            };
            let answer = self.transport.send(&request).await?;
            match answer.status {
                // The password was good: the session has ended, as when the controller restarts.
                401 if !was_renewed && matches!(self.authorization, Authorization::Token(_)) => {
                    was_renewed = true;
                    self.session = None;
                    self.begin().await?;
                }
                401 => return Err(self.wrong_password()),
                403 => return Err(self.not_allowed(&method, path, &answer)),
                _ => return Ok(answer),
            }
        }
    }

    fn wrong_password(&self) -> BmcError {
        BmcError::WrongPassword {
            url: self.transport.shown().to_owned(),
            username: self.username.clone(),
        }
    }

    fn not_allowed(&self, method: &Method, path: &str, answer: &Answer) -> BmcError {
        let said = match answer.said.as_str() {
            "" => String::new(),
            said => format!(": {said}"),
        };
        BmcError::NotAllowed {
            username: self.username.clone(),
            what: format!("{method} {path}{said}"),
        }
    }

    /// Ends the session, if there is one. A controller that does not answer ends it by itself.
    pub async fn log_out(&mut self) {
        let Some(path) = self.session.take() else {
            return;
        };
        let request = Request {
            method: Method::DELETE,
            path: &path,
            body: None,
            authorization: &self.authorization,
            if_match: None,
            is_patient: false,
        };
        let sent = self.transport.send_last(&request);
        let _ = tokio::time::timeout(LOG_OUT_TIME, sent).await;
        self.authorization = Authorization::Nobody;
    }
}
