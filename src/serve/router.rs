//! Answers every request that arrives by HTTP or TFTP.

use super::context::{ServerContext, ServerRequest};
use super::machine;
use super::request::{RefusalKind, RequestOptions, RequestRefusal, RouteAnswer};
use super::session;
use crate::machine::Sha256Digest;
use crate::respond::http::Route;

/// Answers a request. May wait for the store and for the disk.
///
/// # Errors
/// Fails when the route does not exist for the protocol, the client may not read it, or the store or
/// a file cannot be read.
pub fn answer(
    request: &ServerRequest,
    route: Route,
    options: RequestOptions<'_>,
) -> Result<RouteAnswer, RequestRefusal> {
    let requester = request.requester;
    if !requester.protocol.serves(&route) {
        let reason = format!("not served by {}", requester.protocol.name());
        return Err(requester.refuse(RefusalKind::NotFound, "no such file", &reason));
    }
    match route {
        Route::Boot(query) => request
            .boot(query.mac(), |sources, standing| {
                query.answer(sources, standing)
            })
            .map(RouteAnswer::Text),
        Route::File(name) => machine::file(request, &name).map(RouteAnswer::File),
        Route::Machine(path) => machine::answer(request, &path),
        Route::BundleFile { manifest, key } => bundle_file(request, &manifest, &key),
        Route::Session { capability, path } => {
            session::answer(request, capability.expose(), &path, options)
        }
        Route::Health => Ok(RouteAnswer::Health(Ok("ok"))),
        Route::Ready => Ok(RouteAnswer::Health(readiness(&request.context))),
    }
}

fn bundle_file(
    request: &ServerRequest,
    manifest: &Sha256Digest,
    key: &str,
) -> Result<RouteAnswer, RequestRefusal> {
    let Some(bundle) = request.loaded.bundle_by_manifest(manifest) else {
        let text = format!("no bundle has the manifest {manifest}");
        return Err(request
            .requester
            .refuse(RefusalKind::NotFound, text.clone(), &text));
    };
    session::bundle_file(request, bundle, key).map(RouteAnswer::File)
}

/// Reports whether this server can serve installs, or the reason why not.
fn readiness(context: &ServerContext) -> Result<&'static str, String> {
    let standing = context
        .store
        .standing()
        .map_err(|error| format!("{error}; {}", error.help()))?;
    match standing.impediment() {
        Some(impediment) => Err(format!("{impediment}; {}", impediment.help())),
        None => Ok("ready"),
    }
}

#[cfg(test)]
mod tests {
    use crate::respond::http::route;
    use crate::serve::request::Protocol;

    #[test]
    fn tftp_serves_files_and_no_callback_or_seed() {
        let digest = "0".repeat(64);
        for (path, by_tftp) in [
            ("/files/snponly.efi".to_owned(), true),
            ("/m/52:54:00:12:34:56/-/grub.cfg".to_owned(), true),
            (format!("/b/{digest}/kernel"), true),
            ("/s/AbC/files/kernel".to_owned(), true),
            ("/s/AbC/user-data".to_owned(), false),
            ("/boot.ipxe".to_owned(), false),
            ("/healthz".to_owned(), false),
            ("/readyz".to_owned(), false),
        ] {
            let route = route("GET", &path).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert!(Protocol::Http.serves(&route), "{path}");
            assert_eq!(Protocol::Tftp.serves(&route), by_tftp, "{path}");
        }
    }
}
