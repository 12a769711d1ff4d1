//! Files and scripts below a machine's own path: its loaders, and their boot configuration.

use super::context::ServerRequest;
use super::log::Level;
use super::request::{Protocol, RefusalKind, RequestRefusal, RouteAnswer, ServedFile};
use crate::machine::Architecture;
use crate::render::GrubOrigin;
use crate::respond::boot::{MachinePath, MachineQuery};
use crate::wire::path::shown_path;
use crate::workspace::files::FileError;

/// Answers a path that contains the MAC of its machine.
///
/// # Errors
/// Fails when the file does not exist, the store cannot be read, or a template cannot be rendered.
pub fn answer(request: &ServerRequest, path: &MachinePath) -> Result<RouteAnswer, RequestRefusal> {
    match &path.query {
        MachineQuery::File(name) => file(request, name).map(RouteAnswer::File),
        MachineQuery::KernelRefused => Err(kernel_refused(request, path)),
        MachineQuery::Image(architecture) => image(request, path, *architecture),
        MachineQuery::Script(query) => {
            let script = request.boot(Some(path.mac), |sources, standing| {
                sources.answer(path.mac, path.token.expose(), query, standing)
            });
            script.map(RouteAnswer::Text)
        }
    }
}

/// Logs that GRUB reports a kernel that it could not load, by requesting a file that does not exist.
/// Anyone can send this request, so it changes nothing.
fn kernel_refused(request: &ServerRequest, path: &MachinePath) -> RequestRefusal {
    let ServerRequest {
        context,
        loaded,
        requester,
    } = request;
    let host = loaded.inventory.host_by_mac(path.mac);
    let text = "GRUB reports that it could not load the kernel: with Secure Boot, the kernel must be \
                signed and unmodified; see GRUB's message on the machine's screen";
    let line = requester.line(Level::Warn, "kernel-refused", text);
    let line = line.mac(Some(path.mac));
    context
        .log
        .write(&line.host(host.map(|host| host.name.as_str())));
    requester.refuse(
        RefusalKind::NotFound,
        "noted",
        "GRUB reported a refused kernel",
    )
}

/// Builds the volume that a machine boots over HTTP: both stages of its loader, and the configuration
/// of the second stage.
fn image(
    request: &ServerRequest,
    path: &MachinePath,
    architecture: Architecture,
) -> Result<RouteAnswer, RequestRefusal> {
    let ServerRequest {
        context,
        loaded,
        requester,
    } = request;
    let host = loaded.inventory.host_by_mac(path.mac);
    let loader = loaded.inventory.loader_of(host, architecture);
    let Some((loader, second)) = loader.and_then(|it| Some((it, it.second.as_ref()?))) else {
        let why = format!("no loader for `{architecture}` has a second stage");
        return Err(requester.refuse(RefusalKind::NotFound, why.clone(), &why));
    };
    // Firmware never requests it by TFTP, where a forged request could cause much work.
    if requester.protocol != Protocol::Http {
        return Err(requester.refuse(
            RefusalKind::NotFound,
            "served only by HTTP",
            "boot volumes are served only by HTTP",
        ));
    }
    let stages = [file(request, &loader.first)?, file(request, second)?];
    let (server, base) = (loaded.inventory.site.server.address, path.base());
    let origin = GrubOrigin::Image {
        server,
        base: &base,
    };
    let stub = request.boot(Some(path.mac), |sources, _| sources.ask_grub(origin))?;
    let fault = |why: String| {
        let why = format!("cannot build the boot volume: {why}");
        requester.refuse(
            RefusalKind::InternalError,
            "cannot build the boot volume",
            &why,
        )
    };
    let volume = context
        .volumes
        .volume(architecture, &stages)
        .map_err(fault)?;
    let Some(pieces) = volume.with_configuration(stub.as_bytes()) else {
        return Err(fault("its configuration is too large".to_owned()));
    };
    let name = format!("{architecture}.img");
    let text = format!("{name} to {}", requester.peer);
    let line = requester
        .line(Level::Info, "http-file", text)
        .mac(Some(path.mac));
    context.log.write(&line);
    Ok(RouteAnswer::Image {
        name,
        pieces: pieces.into(),
    })
}

/// Opens a file of `server.files` by its own name, or by an alias of a loader.
///
/// # Errors
/// Fails when the file does not exist or must not be served.
pub fn file(request: &ServerRequest, name: &str) -> Result<ServedFile, RequestRefusal> {
    let ServerRequest {
        loaded, requester, ..
    } = request;
    let file = loaded.inventory.loader_file(name).unwrap_or(name);
    let opened = loaded.roots.open(file).map_err(|error| {
        let kind = match &error {
            FileError::NotFound { .. } | FileError::NotAFile { .. } => RefusalKind::NotFound,
            FileError::OutsideRoots { .. } | FileError::Refused(_) => RefusalKind::Forbidden,
            FileError::NotPublic { .. } | FileError::Loop { .. } => RefusalKind::Withheld,
            FileError::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::PermissionDenied => RefusalKind::Withheld,
                _ => RefusalKind::InternalError,
            },
        };
        // Loaders request files beside themselves, so the path may contain a token.
        let (shown, why) = (shown_path(name), error.to_string());
        let text = format!("`{shown}` is not served");
        requester.refuse(kind, text, &why.replace(name, &shown))
    })?;
    Ok(ServedFile {
        file: opened.file,
        size: opened.size,
        name: name.to_owned(),
        digest: None,
        line: requester.line(
            Level::Info,
            "http-file",
            format!("{name} to {}", requester.peer),
        ),
    })
}
