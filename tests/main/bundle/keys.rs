use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::tool::run_tool_in;

/// A publisher's OpenPGP key, in its own gpg directory.
pub struct Gpg {
    home: tempfile::TempDir,
}

impl Gpg {
    pub fn new() -> Self {
        Self::with("never", &[])
    }

    /// An expired key, which gpg created with a clock set to 2020.
    pub fn expired() -> Self {
        Self::with("1d", &["--faked-system-time", "20200101T000000"])
    }

    fn with(expires: &str, options: &[&str]) -> Self {
        let gpg = Self {
            home: tempfile::tempdir().unwrap(),
        };
        let make = [
            "--quick-generate-key",
            "publisher@example.org",
            "ed25519",
            "sign",
            expires,
        ];
        gpg.gpg(&[options, &make].concat());
        gpg
    }

    /// Writes the public key, as a keyring or armored.
    pub fn export(&self, to: &Path, armor: bool) {
        let to = to.to_str().unwrap();
        let armored: &[&str] = if armor { &["--armor"] } else { &[] };
        self.gpg(&[armored, &["--yes", "--output", to, "--export"]].concat());
    }

    /// Signs a file; the signature has the same path with this suffix.
    pub fn sign(&self, file: &Path, ending: &str) -> PathBuf {
        let signature = PathBuf::from(format!("{}{ending}", file.display()));
        let armor: &[&str] = if ending == ".sig" { &[] } else { &["--armor"] };
        let to = ["--yes", "--output", signature.to_str().unwrap()];
        self.gpg(&[armor, &to, &["--detach-sign", file.to_str().unwrap()]].concat());
        signature
    }

    /// Signs with a clock set to 2020.
    pub fn sign_in_2020(&self, file: &Path, ending: &str) {
        let signature = format!("{}{ending}", file.display());
        let then = ["--faked-system-time", "20200101T000100"];
        self.gpg(
            &[
                &then[..],
                &[
                    "--yes",
                    "--armor",
                    "--output",
                    &signature,
                    "--detach-sign",
                    file.to_str().unwrap(),
                ],
            ]
            .concat(),
        );
    }

    /// Revokes the key with the certificate that gpg created with it.
    pub fn revoke(&self) {
        let made = std::fs::read_dir(self.home.path().join("openpgp-revocs.d")).unwrap();
        let made = made.flatten().next().unwrap().path();
        // gpg puts a colon before it to prevent use by mistake.
        let certificate = std::fs::read_to_string(made)
            .unwrap()
            .replace(":-----", "-----");
        let certificate = &certificate[certificate.find("-----BEGIN").unwrap()..];
        let file = self.home.path().join("revocation");
        std::fs::write(&file, certificate).unwrap();
        self.gpg(&["--import", file.to_str().unwrap()]);
    }

    /// Adds an inline signature to a text file.
    pub fn sign_inline(&self, file: &Path) {
        let signed = format!("{}.signed", file.display());
        self.gpg(&[
            "--yes",
            "--output",
            &signed,
            "--clear-sign",
            file.to_str().unwrap(),
        ]);
        std::fs::rename(signed, file).unwrap();
    }

    fn gpg(&self, arguments: &[&str]) {
        let home = self.home.path().to_str().unwrap();
        let fixed = [
            "--homedir",
            home,
            "--batch",
            "--quiet",
            "--passphrase",
            "",
            "--pinentry-mode",
            "loopback",
        ];
        run_tool_in(self.home.path(), "gpg", &[&fixed[..], arguments].concat());
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let home = self.home.path().to_str().unwrap();
        let stop = ["--homedir", home, "--kill", "gpg-agent"];
        let _ = Command::new("gpgconf")
            .args(stop)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

/// A publisher's minisign key.
pub struct Minisign {
    home: tempfile::TempDir,
}

impl Minisign {
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        run_tool_in(
            home.path(),
            "minisign",
            &["-G", "-W", "-p", "key.pub", "-s", "key"],
        );
        Self { home }
    }

    pub fn public_file(&self) -> PathBuf {
        self.home.path().join("key.pub")
    }

    pub fn public(&self) -> String {
        let text = std::fs::read_to_string(self.public_file()).unwrap();
        text.lines().nth(1).unwrap().to_owned()
    }

    /// Signs a file; the signature has the same path with `.minisig`.
    pub fn sign(&self, file: &Path) {
        run_tool_in(
            self.home.path(),
            "minisign",
            &["-S", "-s", "key", "-m", file.to_str().unwrap()],
        );
    }
}
