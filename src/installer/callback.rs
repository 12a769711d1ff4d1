//! Shell commands that post a callback. They retry, and their failure never stops an install.

use super::Install;
use super::shell::shell_word;

/// Returns a command that posts a callback with curl.
pub(super) fn curl(install: &Install<'_>, kind: &str, message: &str) -> String {
    format!(
        "curl -fsS -X POST --retry 10 --retry-delay 3 --retry-all-errors --max-time 20 --data {} {} || true",
        shell_word(message),
        callback_url(install, kind),
    )
}

/// Returns a command that posts a callback with wget, also that of busybox.
pub(super) fn wget(install: &Install<'_>, kind: &str, message: &str) -> String {
    format!(
        "for n in 1 2 3 4 5 6 7 8 9 10; do wget -q -O /dev/null --post-data={} {} && break; sleep 3; done",
        shell_word(message),
        callback_url(install, kind),
    )
}

fn callback_url(install: &Install<'_>, kind: &str) -> String {
    shell_word(&format!("{}{kind}", install.callbacks_url))
}
