//! The programs that sign and judge images for Secure Boot.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// sbsigntool and openssl, with a directory to work in.
pub struct Sbsigntool {
    directory: tempfile::TempDir,
}

/// A key that signs, with its certificate.
pub struct SigningKey {
    secret: PathBuf,
    pub certificate: PathBuf,
}

fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
}

#[track_caller]
fn succeed(command: &mut Command) -> Output {
    let output = run(command);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    output
}

impl Sbsigntool {
    pub fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a directory"),
        }
    }

    /// Lists the common names of the issuers that `sbverify --list` prints, one for each signature.
    pub fn issuers(image: &Path) -> Vec<String> {
        let output = run(Command::new("sbverify").arg("--list").arg(image));
        let text = String::from_utf8(output.stdout).expect("text");
        let mut issuers = Vec::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if line == "image signature issuers:" {
                let name = lines.next().expect("an issuer");
                let (_, name) = name.rsplit_once("/CN=").expect("a common name");
                issuers.push(name.to_owned());
            }
        }
        issuers
    }

    /// Writes a file and returns its path.
    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    }

    /// Takes the certificates out of an image's first signature.
    pub fn certificates(&self, image: &Path) -> PathBuf {
        let bytes = std::fs::read(image).expect("an image");
        let copy = self.file("copy.efi", &bytes);
        let [signature, certificates] =
            ["signature.p7", "certificates.pem"].map(|name| self.directory.path().join(name));
        // It asks before it overwrites.
        let _ = std::fs::remove_file(&signature);
        succeed(
            Command::new("sbattach")
                .arg("--detach")
                .arg(&signature)
                .arg(copy),
        );
        succeed(
            Command::new("openssl")
                .args(["pkcs7", "-inform", "DER", "-print_certs", "-in"])
                .arg(&signature)
                .arg("-out")
                .arg(&certificates),
        );
        certificates
    }

    /// Asks whether the image is what the owner of a certificate signed.
    ///
    /// # Errors
    /// What it says where it is not.
    pub fn verify(&self, image: &Path, certificate: &Path) -> Result<(), String> {
        let output = run(Command::new("sbverify")
            .arg("--cert")
            .arg(certificate)
            .arg(image));
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Makes a key whose certificate it has signed itself.
    pub fn key(&self, name: &str) -> SigningKey {
        let [secret, certificate] =
            ["key.pem", "certificate.pem"].map(|name| self.directory.path().join(name));
        succeed(
            Command::new("openssl")
                .args([
                    "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                ])
                .args(["-subj", &format!("/O=pxectl/CN={name}")])
                .arg("-keyout")
                .arg(&secret)
                .arg("-out")
                .arg(&certificate),
        );
        SigningKey {
            secret,
            certificate,
        }
    }

    /// Signs a copy of an image, besides those who have signed it.
    pub fn sign(&self, image: &Path, key: &SigningKey) -> PathBuf {
        let signed = self.directory.path().join("signed.efi");
        succeed(
            Command::new("sbsign")
                .arg("--key")
                .arg(&key.secret)
                .arg("--cert")
                .arg(&key.certificate)
                .arg("--output")
                .arg(&signed)
                .arg(image),
        );
        signed
    }
}
