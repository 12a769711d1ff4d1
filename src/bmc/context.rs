//! What the task of one machine shares with the code that watches it: deadline, progress, notes and
//! secrets to mask.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use super::error::BmcError;
use super::error_body::error_text;
use super::mask::SecretMask;
use super::request::PlannedRequest;
use crate::machine::Secret;

/// Receives the progress of a task: the host name, and a few words such as
/// `waiting for the self-test to end`.
pub type ProgressCallback = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// The shared state of one machine's task.
pub struct TaskContext {
    /// The host name.
    pub host: String,
    /// The time at which the task gives up.
    pub deadline: Instant,
    /// The time limit of the task, from its start.
    pub time_limit: Duration,
    /// Whether to record changes instead of sending them.
    pub dry_run: bool,
    progress: ProgressCallback,
    activity: Mutex<String>,
    planned: Mutex<Vec<PlannedRequest>>,
    notes: Mutex<Vec<String>>,
    changes: Mutex<Vec<String>>,
    mask: Mutex<SecretMask>,
    /// Held during a login.
    login: AsyncMutex<()>,
}

impl TaskContext {
    /// Starts the task of a host with a time limit.
    pub fn new(
        host: &str,
        time_limit: Duration,
        dry_run: bool,
        progress: ProgressCallback,
    ) -> Self {
        Self {
            host: host.to_owned(),
            deadline: Instant::now() + time_limit,
            time_limit,
            dry_run,
            progress,
            activity: Mutex::default(),
            planned: Mutex::default(),
            notes: Mutex::default(),
            changes: Mutex::default(),
            mask: Mutex::default(),
            login: AsyncMutex::default(),
        }
    }

    /// Reports the current activity of the task.
    pub fn report_progress(&self, activity: &str) {
        activity.clone_into(&mut locked(&self.activity));
        (self.progress)(&self.host, activity);
    }

    /// Makes the error of a task that exceeded its deadline.
    pub fn deadline_error(&self) -> BmcError {
        BmcError::Deadline {
            activity: locked(&self.activity).clone(),
            time_limit: self.time_limit,
        }
    }

    /// Waits, but not beyond the deadline.
    ///
    /// # Errors
    /// [`BmcError::Deadline`] when the deadline has passed.
    pub async fn pause(&self, time: Duration) -> Result<(), BmcError> {
        let remaining = self.remaining().ok_or_else(|| self.deadline_error())?;
        tokio::time::sleep(time.min(remaining)).await;
        if time < remaining {
            Ok(())
        } else {
            Err(self.deadline_error())
        }
    }

    /// Returns the time until the deadline, or `None` after it.
    pub fn remaining(&self) -> Option<Duration> {
        let remaining = self.deadline.saturating_duration_since(Instant::now());
        (!remaining.is_zero()).then_some(remaining)
    }

    /// Masks a password wherever the BMC repeats it.
    pub fn mask_password(&self, password: &Secret) {
        locked(&self.mask).add_password(password);
    }

    /// Shows `replacement` wherever the BMC repeats another secret.
    pub fn mask_secret(&self, secret: &str, replacement: &str) {
        locked(&self.mask).add_secret(secret, replacement);
    }

    /// Returns a text of the BMC in a form that may be printed.
    pub fn printable(&self, text: &str) -> String {
        locked(&self.mask).printable(text)
    }

    /// Masks the secrets in a text of the BMC that is parsed afterwards. Parsing removes characters,
    /// and a secret without them would not be recognized.
    pub fn masked(&self, text: &str) -> String {
        locked(&self.mask).masked(text)
    }

    /// Masks the secrets in a JSON body that is parsed afterwards.
    pub fn masked_json(&self, body: &Value) -> Value {
        let mut body = body.clone();
        locked(&self.mask).mask_json(&mut body);
        body
    }

    /// Returns the message of an error body in a form that may be printed.
    pub fn printable_error(&self, body: &Value) -> String {
        let mut body = body.clone();
        let mask = locked(&self.mask);
        mask.mask_json(&mut body);
        mask.printable(&error_text(&body))
    }

    /// Masks the secrets in an error.
    pub fn mask_error(&self, error: BmcError) -> BmcError {
        let mask = locked(&self.mask);
        error.map_texts(|text| mask.masked(&text))
    }

    /// Starts a login. Code that stops the task waits until the login has ended, because nothing
    /// else would end its session.
    pub async fn lock_login(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.login.lock().await
    }

    /// Records a request that `--dry-run` does not send.
    pub fn plan(&self, mut request: PlannedRequest) {
        if let Some(body) = &mut request.body {
            locked(&self.mask).mask_json(body);
        }
        locked(&self.planned).push(request);
    }

    /// Takes the recorded requests, in order.
    pub fn take_planned(&self) -> Vec<PlannedRequest> {
        std::mem::take(&mut *locked(&self.planned))
    }

    /// Adds a note for the operator.
    pub fn note(&self, text: &str) {
        let text = locked(&self.mask).masked(text);
        locked(&self.notes).push(text);
    }

    /// Takes the notes for the operator.
    pub fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut *locked(&self.notes))
    }

    /// Records a change for the event log, where it stays even if a later step fails. Does nothing
    /// under `--dry-run`.
    pub fn record_change(&self, change: String) {
        if !self.dry_run {
            locked(&self.changes).push(change);
        }
    }

    /// Takes the recorded changes.
    pub fn take_changes(&self) -> Vec<String> {
        std::mem::take(&mut *locked(&self.changes))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
