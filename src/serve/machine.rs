//! What lies below a machine's own path: its loaders, and what they are told to boot.

use bytes::Bytes;

use super::context::{Asker, Context, Refused, ServedFile, Status, Via};
use super::log::Level;
use crate::machine::Architecture;
use crate::render::GrubOrigin;
use crate::respond::boot::{MachinePath, MachineQuery};
use crate::wire::path::shown_path;
use crate::workspace::files::FileError;

/// What a machine's path is answered with.
pub enum MachineAnswer {
    /// A script or a configuration.
    Script(String),
    /// A file.
    File(ServedFile),
    /// A volume that firmware boots over HTTP, in pieces, and its name.
    Image(String, Vec<Bytes>),
}

/// Answers a path that names its machine.
///
/// # Errors
/// When there is no such file, the store cannot be read, or a template not be rendered.
pub fn answer(
    context: &Context,
    asker: Asker,
    path: &MachinePath,
) -> Result<MachineAnswer, Refused> {
    match &path.query {
        MachineQuery::File(name) => file(context, asker, name).map(MachineAnswer::File),
        MachineQuery::KernelRefused => Err(kernel_refused(context, asker, path)),
        MachineQuery::Image(architecture) => image(context, asker, path, *architecture),
        MachineQuery::Script(query) => {
            let script = context.boot(asker, Some(path.mac), |sources, standing| {
                sources.answer(path.mac, path.token.expose(), query, standing)
            });
            script.map(MachineAnswer::Script)
        }
    }
}

/// Logs what GRUB tells: there is no such file. It is nobody's word, and changes nothing.
fn kernel_refused(context: &Context, asker: Asker, path: &MachinePath) -> Refused {
    let loaded = context.live.current();
    let host = loaded.inventory.host_by_mac(path.mac);
    let text = "GRUB says that it could not load the kernel: with Secure Boot on, it takes one that \
                is signed and unaltered; the machine's screen has GRUB's own words";
    let line = asker.line(Level::Warn, "kernel-refused", text);
    let line = line.mac(Some(path.mac));
    context
        .log
        .write(&line.host(host.map(|host| host.name.as_str())));
    asker.refuse(Status::NotFound, "noted", "it told of a refused kernel")
}

/// Builds the volume that a machine boots over HTTP: both stages of its loader, and the
/// configuration that the second finds there.
fn image(
    context: &Context,
    asker: Asker,
    path: &MachinePath,
    architecture: Architecture,
) -> Result<MachineAnswer, Refused> {
    let loaded = context.live.current();
    let host = loaded.inventory.host_by_mac(path.mac);
    let loader = loaded.inventory.loader_of(host, architecture);
    let Some((loader, second)) = loader.and_then(|it| Some((it, it.second.as_ref()?))) else {
        let why = format!("no loader for `{architecture}` has a second stage");
        return Err(asker.refuse(Status::NotFound, why.clone(), &why));
    };
    // Nobody fetches it by TFTP, where a request may come from anybody and leave much behind.
    if asker.via != Via::Http {
        return Err(asker.refuse(Status::NotFound, "it comes over HTTP", "an image by TFTP"));
    }
    let stages = [
        file(context, asker, &loader.first)?,
        file(context, asker, second)?,
    ];
    let (server, base) = (loaded.inventory.site.server.address, path.base());
    let origin = GrubOrigin::Image {
        server,
        base: &base,
    };
    let stub = context.boot(asker, Some(path.mac), |sources, _| sources.ask_grub(origin))?;
    let fault = |why: String| {
        let why = format!("cannot make the image: {why}");
        asker.refuse(Status::Fault, "the image cannot be made", &why)
    };
    let volume = context
        .volumes
        .volume(architecture, &stages)
        .map_err(fault)?;
    let Some(pieces) = volume.with_configuration(stub.as_bytes()) else {
        return Err(fault("its configuration is too long".to_owned()));
    };
    let name = format!("{architecture}.img");
    let text = format!("{name} to {}", asker.peer);
    let line = asker
        .line(Level::Info, "http-file", text)
        .mac(Some(path.mac));
    context.log.write(&line);
    Ok(MachineAnswer::Image(name, pieces.into()))
}

/// Opens a file of `server.files`, by the name that a loader goes by or by its own.
///
/// # Errors
/// When there is none, or it may not be served.
pub fn file(context: &Context, asker: Asker, name: &str) -> Result<ServedFile, Refused> {
    let loaded = context.live.current();
    let file = loaded.inventory.loader_file(name).unwrap_or(name);
    let opened = loaded.roots.open(file).map_err(|error| {
        let status = match &error {
            FileError::NotFound { .. } | FileError::NotAFile { .. } => Status::NotFound,
            FileError::OutsideRoots { .. } | FileError::Refused(_) => Status::Forbidden,
            FileError::NotPublic { .. } | FileError::Loop { .. } => Status::Withheld,
            FileError::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::PermissionDenied => Status::Withheld,
                _ => Status::Fault,
            },
        };
        // Loaders ask for more beside themselves, and so below a path that holds a token.
        let (shown, why) = (shown_path(name), error.to_string());
        let text = format!("`{shown}` is not served");
        asker.refuse(status, text, &why.replace(name, &shown))
    })?;
    Ok(ServedFile {
        file: opened.file,
        size: opened.size,
        name: name.to_owned(),
        digest: None,
        line: asker.line(
            Level::Info,
            "http-file",
            format!("{name} to {}", asker.peer),
        ),
    })
}
