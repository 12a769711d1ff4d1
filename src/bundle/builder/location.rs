use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::BuildError;
use super::progress::Progress;
use super::web::{Web, without_credentials};

/// Where something lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Behind a URL of HTTP.
    Url(String),
    /// On this machine.
    Path(PathBuf),
}

impl Place {
    /// Reads a place; paths go from `base`.
    pub fn new(text: &str, base: &Path) -> Self {
        if is_url(text) {
            Self::Url(text.to_owned())
        } else {
            Self::Path(base.join(text))
        }
    }

    /// Returns what people may see.
    pub fn shown(&self) -> String {
        match self {
            Self::Url(url) => without_credentials(url),
            Self::Path(path) => path.display().to_string(),
        }
    }

    /// Reads something small.
    ///
    /// # Errors
    /// When it cannot be read, or is larger than `limit` octets.
    pub fn read(
        &self,
        web: &Web,
        limit: u64,
        progress: &dyn Progress,
    ) -> Result<Vec<u8>, BuildError> {
        let path = match self {
            Self::Url(url) => return web.read(url, limit, progress),
            Self::Path(path) => path,
        };
        let unreadable = |source| BuildError::Unreadable {
            path: path.clone(),
            source,
        };
        let mut content = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(limit + 1)
            .read_to_end(&mut content)
            .map_err(unreadable)?;
        if content.len() as u64 > limit {
            let what = self.shown();
            return Err(BuildError::TooLarge { what, limit });
        }
        Ok(content)
    }
}

/// Reports whether a place is a URL.
pub fn is_url(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

/// Finds what verifies something: a suffix such as `.asc` stands for the same place with that at its
/// end.
pub fn beside(from: &str, verified: &str) -> String {
    let is_suffix = from.starts_with('.') && !from.contains('/');
    if is_suffix {
        format!("{verified}{from}")
    } else {
        from.to_owned()
    }
}

/// Returns the path of a place, without what a URL has before and after it.
pub fn path_of(from: &str) -> &str {
    if !is_url(from) {
        return from;
    }
    let from = from.find(['?', '#']).map_or(from, |end| &from[..end]);
    let host = from.find("://").map_or(0, |at| at + 3);
    from[host..].find('/').map_or("", |at| &from[host + at..])
}

/// Puts a relative path below a URL or a directory.
pub fn below(base: &str, path: &str) -> String {
    format!("{}/{path}", base.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_verifies_something_may_lie_beside_it() {
        for (from, verified, expected) in [
            (".asc", "https://a/b", "https://a/b.asc"),
            ("./SUMS", "https://a/b", "./SUMS"),
            ("https://a/S", "https://a/b", "https://a/S"),
            ("SUMS", "b", "SUMS"),
        ] {
            assert_eq!(beside(from, verified), expected);
        }
    }

    #[test]
    fn the_path_of_a_url_is_what_lists_may_name() {
        for (from, path) in [
            ("https://a.b/c/d.iso?x=y/z#e", "/c/d.iso"),
            ("http://a", ""),
            ("http://a?b/c", ""),
            ("../x/y", "../x/y"),
        ] {
            assert_eq!(path_of(from), path);
        }
    }
}
