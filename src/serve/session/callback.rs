//! Callbacks, with which an installer reports on its session.

use super::SessionRequest;
use crate::decide::{Admission, CallbackClass, CallbackKind, admit_callback, cleaned, report};
use crate::machine::{EventKind, masked};
use crate::serve::log::Level;
use crate::serve::request::RequestRefusal;
use crate::store::CallbackUpdate;
use crate::token::Capability;

/// Limit of stored characters of a callback's message.
const MESSAGE_LIMIT: usize = 500;

impl SessionRequest<'_> {
    /// Stores a callback if its quota allows that, and acknowledges it.
    pub(super) fn callback(
        &self,
        kind: CallbackKind,
        posted: &[u8],
    ) -> Result<String, RequestRefusal> {
        let message = message(posted);
        let Capability {
            session, attempt, ..
        } = self.capability;
        let mut outcome = None;
        let stored = self.request.context.store.callback(
            &self.host,
            session,
            &mut |record, tallies, standing| {
                let callback = report(record, session, attempt, kind, &message, standing);
                let event = callback.event?;
                let is_late = event == EventKind::Late;
                let class = CallbackClass { kind, is_late };
                let tally = tallies.iter().find(|(of, _)| *of == class);
                let tally = tally.map(|(_, tally)| tally);
                let admission = admit_callback(class, tally, attempt, &message, standing.now());
                outcome = Some((class, admission.clone()));
                let Admission::Store(tally) = admission else {
                    return None;
                };
                Some(CallbackUpdate {
                    record: callback.record,
                    class,
                    tally,
                    event: self.event(event, &message),
                })
            },
        );
        stored.map_err(|error| self.request.requester.store_failed(&error))?;
        let is_late = outcome.as_ref().is_some_and(|(class, _)| class.is_late);
        let is_over_quota = outcome.as_ref().is_some_and(|(_, admission)| {
            matches!(admission, Admission::OverRate | Admission::OverLimit)
        });
        self.log_callback(kind, message, outcome);
        // An error status would not help: the installer has nothing to correct.
        Ok(match (is_late, is_over_quota) {
            (true, _) => "late\n".into(),
            (false, true) => "too many\n".into(),
            (false, false) => "ok\n".into(),
        })
    }

    /// Logs a callback. The outcome is `None` if it repeats the callback that changed the phase.
    fn log_callback(
        &self,
        kind: CallbackKind,
        message: String,
        outcome: Option<(CallbackClass, Admission)>,
    ) {
        let name = kind.name();
        let log = |level, event, text| {
            self.request
                .context
                .log
                .write(&self.line(level, event, text))
        };
        let (class, tally) = match outcome {
            Some((class, Admission::Store(tally))) => (class, tally),
            None | Some((_, Admission::Repeated)) => {
                return log(
                    Level::Debug,
                    "callback-repeated",
                    format!("`{name}` repeated"),
                );
            }
            Some((class, Admission::OverLimit)) => {
                let text = format!(
                    "`{}` not stored: the session reached its limit",
                    class.name()
                );
                return log(Level::Debug, "callback-dropped", text);
            }
            Some((class, Admission::OverRate)) => {
                let text = format!(
                    "`{}` not stored: the session sends callbacks too fast",
                    class.name()
                );
                return log(Level::Debug, "callback-dropped", text);
            }
        };
        match kind {
            _ if class.is_late => {
                let text = format!("`{name}` arrived too late and has no effect: {message}");
                log(Level::Warn, "late", text);
            }
            CallbackKind::Failed => log(Level::Error, name, message),
            _ => log(Level::Info, name, message),
        }
        if class.limit() == Some(tally.stored) {
            let class = class.name();
            let text = format!(
                "the session reached its limit of {} `{class}` callbacks; later ones are not stored",
                tally.stored
            );
            log(Level::Warn, "callback-limit", text);
        }
    }
}

/// Returns the message of a callback: printable, without capabilities, and short.
fn message(posted: &[u8]) -> String {
    let printable = cleaned(&String::from_utf8_lossy(posted), posted.len());
    let clean = without_capabilities(&printable);
    let clean = masked(&clean);
    clean.chars().take(MESSAGE_LIMIT).collect()
}

/// Masks the capabilities in a callback's text: an installer may quote its own command line.
fn without_capabilities(text: &str) -> String {
    let mut parts = text.split("/s/");
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest =
            part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        clean.push_str("/s/…");
        clean.push_str(rest);
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::{message, without_capabilities};

    #[test]
    fn message_is_short_and_does_not_end_with_part_of_a_capability() {
        for length in [1, 490, 499, 500, 10_000] {
            let posted = format!("{}/s/AbC-_9", "x".repeat(length));
            let message = message(posted.as_bytes());
            assert!(message.chars().count() <= 500, "{length}");
            assert!(!message.contains('A'), "{length}: {message}");
        }
        assert!(message("/s/ ".repeat(1000).as_bytes()).len() <= 1000);
    }

    #[test]
    fn capabilities_in_posted_text_are_masked() {
        let text = "url=http://10.0.0.1/s/AbC-_9/preseed.cfg and http://10.0.0.1/s/XyZ failed";
        let clean = "url=http://10.0.0.1/s/…/preseed.cfg and http://10.0.0.1/s/… failed";
        assert_eq!(without_capabilities(text), clean);
        assert_eq!(without_capabilities("no disk"), "no disk");
    }
}
