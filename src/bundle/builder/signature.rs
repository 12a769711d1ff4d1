use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use data_encoding::BASE64;
use minisign_verify::{PublicKey, Signature};

use super::error::BuildError;
use crate::bundle::store::{BundleStore, Temporary, io_error};

const ARMOR: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
/// The largest keyring that is read, in bytes.
const KEYRING_LIMIT: u64 = 16 << 20;

/// Checks OpenPGP signatures against one keyring.
pub struct OpenPgp<'s> {
    store: &'s BundleStore,
    keyring: PathBuf,
    /// The keyring without armor for `gpgv`, if the original has armor.
    unarmored: Option<Temporary>,
}

impl<'s> OpenPgp<'s> {
    /// Reads a keyring, armored or not.
    ///
    /// # Errors
    /// When the keyring cannot be read, or its armor is damaged.
    pub fn open(store: &'s BundleStore, keyring: &Path) -> Result<Self, BuildError> {
        let unusable = |reason: String| BuildError::Key {
            key: keyring.display().to_string(),
            reason,
        };
        let mut content = Vec::new();
        let read =
            File::open(keyring).and_then(|file| file.take(KEYRING_LIMIT).read_to_end(&mut content));
        read.map_err(|error| unusable(error.to_string()))?;
        let unarmored = match str::from_utf8(&content) {
            Ok(text) if text.contains(ARMOR) => {
                let keys =
                    unarmored(text).ok_or_else(|| unusable("its armor is damaged".into()))?;
                Some(scratch(store, &keys)?)
            }
            _ => None,
        };
        // `gpgv` looks for a bare name in its own directory.
        let keyring = fs::canonicalize(keyring).map_err(|error| unusable(error.to_string()))?;
        Ok(Self {
            store,
            keyring,
            unarmored,
        })
    }

    /// Checks a detached signature of a file.
    ///
    /// # Errors
    /// When the signature is not valid, or cannot be checked.
    pub fn check(&self, what: &str, file: &Path, signature: &[u8]) -> Result<(), BuildError> {
        let signature = scratch(self.store, signature)?;
        let output = self.gpgv(&[signature.path(), file])?;
        evaluate(what, &output)
    }

    /// Checks an inline signature, and returns only the signed text.
    ///
    /// # Errors
    /// When the signature is not valid, or cannot be checked.
    pub fn check_inline(&self, what: &str, signed: &[u8]) -> Result<Vec<u8>, BuildError> {
        let signed = scratch(self.store, signed)?;
        let output = self.gpgv(&[Path::new("--output"), Path::new("-"), signed.path()])?;
        evaluate(what, &output)?;
        Ok(output.stdout)
    }

    fn gpgv(&self, arguments: &[&Path]) -> Result<Output, BuildError> {
        let keyring = self
            .unarmored
            .as_ref()
            .map_or(self.keyring.as_path(), Temporary::path);
        let output = Command::new("gpgv")
            .args(["--status-fd", "2", "--weak-digest", "SHA1", "--keyring"])
            .arg(keyring)
            .args(arguments)
            .env("LC_ALL", "C")
            .output();
        output.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => BuildError::NoProgram("gpgv"),
            _ => io_error(Path::new("gpgv"), source).into(),
        })
    }
}

/// Evaluates the status lines of `gpgv`. Signatures by keys that the keyring lacks do not count; of the
/// others, at least one must be valid and none may be bad.
///
/// Source: GnuPG's doc/DETAILS, "Format of the --status-fd output".
fn evaluate(what: &str, output: &Output) -> Result<(), BuildError> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let status = |word: &str| {
        let mut lines = stderr
            .lines()
            .filter_map(|line| line.strip_prefix("[GNUPG:] "));
        lines
            .find(|line| line.split(' ').next() == Some(word))
            .map(str::to_owned)
    };
    let words = |line: String| line.split(' ').skip(1).collect::<Vec<_>>().join(" ");
    let bad = status("BADSIG");
    let is_of_other_content = bad.is_some();
    let reason = if let Some(line) = bad {
        format!("bad signature by {}", words(line))
    } else if status("GOODSIG").is_some() && status("VALIDSIG").is_some() {
        return Ok(());
    } else if let Some(line) = status("EXPKEYSIG") {
        format!("the key {} has expired", words(line))
    } else if let Some(line) = status("REVKEYSIG") {
        format!("the key {} is revoked", words(line))
    } else if let Some(line) = status("EXPSIG") {
        format!("the signature by {} has expired", words(line))
    } else if let Some(line) = status("NO_PUBKEY") {
        format!(
            "the keyring does not have the key {}, which signed the file",
            words(line)
        )
    } else {
        let last = stderr.lines().rfind(|line| line.starts_with("gpgv: "));
        last.map_or("no signature", |line| &line[6..]).to_owned()
    };
    Err(BuildError::Signature {
        what: what.to_owned(),
        reason,
        is_of_other_content,
    })
}

/// Checks a minisign signature.
///
/// # Errors
/// When the signature is not valid, or the key cannot be used. Signatures in minisign's old format, which
/// needs the whole file in memory, are not supported.
pub fn check_minisign(
    what: &str,
    file: &Path,
    signature: &[u8],
    key: &str,
    base: &Path,
) -> Result<(), BuildError> {
    let unusable = |reason: String| BuildError::Key {
        key: key.to_owned(),
        reason,
    };
    let public = match PublicKey::from_base64(key) {
        Ok(public) => public,
        Err(_) => {
            let text =
                fs::read_to_string(base.join(key)).map_err(|error| unusable(error.to_string()))?;
            PublicKey::decode(&text).map_err(|error| unusable(error.to_string()))?
        }
    };
    let refused = |reason: String| BuildError::Signature {
        what: what.to_owned(),
        reason,
        is_of_other_content: false,
    };
    let text = str::from_utf8(signature).map_err(|error| refused(error.to_string()))?;
    let signature = Signature::decode(text).map_err(|error| refused(error.to_string()))?;
    let mut verifier = public
        .verify_stream(&signature)
        .map_err(|error| refused(error.to_string()))?;
    let unreadable = |source| BuildError::Unreadable {
        path: file.to_owned(),
        source,
    };
    let mut opened = File::open(file).map_err(unreadable)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match opened.read(&mut buffer).map_err(unreadable)? {
            0 => break,
            read => verifier.update(&buffer[..read]),
        }
    }
    verifier.finalize().map_err(|error| BuildError::Signature {
        what: what.to_owned(),
        reason: error.to_string(),
        is_of_other_content: true,
    })
}

fn scratch(store: &BundleStore, content: &[u8]) -> Result<Temporary, BuildError> {
    let mut temporary = Temporary::create(&store.partial()?)?;
    temporary.write(content)?;
    Ok(temporary)
}

/// Decodes every armored key in a text.
///
/// Source: RFC 9580 §6.2.
fn unarmored(text: &str) -> Option<Vec<u8>> {
    let mut keys = Vec::new();
    for block in text.split(ARMOR).skip(1) {
        let (block, _) = block.split_once("-----END PGP PUBLIC KEY BLOCK-----")?;
        // Headers, an empty line, the key, and perhaps its checksum.
        let lines = block
            .lines()
            .map(str::trim)
            .skip(1)
            .skip_while(|line| !line.is_empty());
        let body: String = lines.filter(|line| !line.starts_with('=')).collect();
        keys.extend(BASE64.decode(body.as_bytes()).ok()?);
    }
    Some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_armored_key_is_decoded() {
        let block = |body: &str| {
            format!("{ARMOR}\nComment: x\n\n{body}\n-----END PGP PUBLIC KEY BLOCK-----\n")
        };
        let text = format!("words\n{}{}", block("AAEC\nAwQ=\n=abcd"), block("BQ=="));
        assert_eq!(unarmored(&text), Some(vec![0, 1, 2, 3, 4, 5]));
        assert_eq!(unarmored(&block("A*")), None);
        assert_eq!(unarmored(&format!("{ARMOR}\n\nAAEC")), None);
    }
}
