//! Answers every request that arrives by HTTP or TFTP.

use super::context::Context;
use super::machine;
use super::request::{RefusalKind, RequestOptions, RequestRefusal, Requester, RouteAnswer};
use super::session;
use crate::machine::Sha256Digest;
use crate::respond::http::Route;

/// Answers a request. May wait for the store and for the disk.
///
/// # Errors
/// Fails when the route does not exist for the protocol, the client may not read it, or the store or
/// a file cannot be read.
pub fn answer(
    context: &Context,
    requester: Requester,
    route: Route,
    options: RequestOptions<'_>,
) -> Result<RouteAnswer, RequestRefusal> {
    if !requester.protocol.serves(&route) {
        let reason = format!("not served by {}", requester.protocol.name());
        return Err(requester.refuse(RefusalKind::NotFound, "no such file", &reason));
    }
    match route {
        Route::Boot(query) => context
            .boot(requester, query.mac(), |sources, standing| {
                query.answer(sources, standing)
            })
            .map(RouteAnswer::Text),
        Route::File(name) => machine::file(context, requester, &name).map(RouteAnswer::File),
        Route::Machine(path) => machine::answer(context, requester, &path),
        Route::BundleFile { manifest, key } => bundle_file(context, requester, &manifest, &key),
        Route::Session { capability, path } => {
            session::answer(context, requester, capability.expose(), &path, options)
        }
        Route::Health => Ok(RouteAnswer::Health(Ok("ok"))),
        Route::Ready => Ok(RouteAnswer::Health(readiness(context))),
    }
}

fn bundle_file(
    context: &Context,
    requester: Requester,
    manifest: &Sha256Digest,
    key: &str,
) -> Result<RouteAnswer, RequestRefusal> {
    let loaded = context.active.current();
    let Some(bundle) = loaded.bundle_by_manifest(manifest) else {
        let text = format!("no bundle has the manifest {manifest}");
        return Err(requester.refuse(RefusalKind::NotFound, text.clone(), &text));
    };
    session::bundle_file(context, requester, bundle, key).map(RouteAnswer::File)
}

/// Reports whether this server can serve installs, or the reason why not.
fn readiness(context: &Context) -> Result<&'static str, String> {
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
