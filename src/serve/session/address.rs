//! Compares the addresses from which an attempt fetches its files.

use super::SessionRequest;
use crate::decide::{AttemptAddress, attempt_address};
use crate::machine::EventKind;
use crate::serve::log::Level;
use crate::token::Capability;

impl SessionRequest<'_> {
    /// Logs when an attempt fetches from a second address: another machine may be using its boot
    /// data. The addresses are in the store, since different processes may serve kernel and seeds.
    /// Never refuses a request, even if the store fails.
    pub(super) fn compare_address(&self, what: &str) {
        let Capability {
            session, attempt, ..
        } = self.capability;
        let address = self.request.requester.peer.ip().to_canonical();
        let store = &self.request.context.store;
        let text = |first| {
            format!(
                "attempt {attempt} fetched `{what}` from {address}, earlier files from {first}: \
                 check that no other machine uses its boot data"
            )
        };
        let mut found = AttemptAddress::Known;
        let stored = store.attempt_addresses(session, attempt).and_then(|known| {
            found = attempt_address(&known, address);
            if matches!(
                found,
                AttemptAddress::Known | AttemptAddress::TooMany { .. }
            ) {
                return Ok(());
            }
            store.add_attempt_address(session, attempt, address, &mut |known| {
                found = attempt_address(known, address);
                match found {
                    AttemptAddress::First => Some(Vec::new()),
                    AttemptAddress::Another { first } => {
                        Some(vec![self.event(EventKind::SecondAddress, &text(first))])
                    }
                    AttemptAddress::Known | AttemptAddress::TooMany { .. } => None,
                }
            })
        });
        let (level, first) = match found {
            AttemptAddress::Another { first } => (Level::Warn, Some(first)),
            AttemptAddress::TooMany { first } => (Level::Debug, Some(first)),
            AttemptAddress::First | AttemptAddress::Known => (Level::Debug, None),
        };
        if let Some(first) = first {
            let line = self
                .line(level, "second-address", text(first))
                .fact("first", first.to_string())
                .fact("second", address.to_string());
            self.request.context.log.write(&line);
        }
        if let Err(error) = stored {
            let refusal = self.request.requester.store_failed(&error);
            self.request
                .context
                .log
                .write(&self.of_session(*refusal.line));
        }
    }
}
