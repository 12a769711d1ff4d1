//! What lies below a machine's own path: its loaders, and what they are told to boot.

use super::context::{Asker, Context, Refused, ServedFile, Status};
use super::log::Level;
use crate::respond::boot::{MachinePath, MachineQuery};
use crate::workspace::files::FileError;

/// What a machine's path is answered with.
pub enum MachineAnswer {
    /// A script or a configuration.
    Script(String),
    /// A file.
    File(ServedFile),
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
    let mac = Some(path.mac);
    let script = match &path.query {
        MachineQuery::File(name) => return file(context, asker, name).map(MachineAnswer::File),
        MachineQuery::GrubStub => context.boot(asker, mac, |sources, _| sources.ask_grub()),
        MachineQuery::IpxeScript => {
            context.boot(asker, mac, |sources, _| sources.ask_ipxe(&path.token))
        }
        MachineQuery::Grub(_) | MachineQuery::Pxelinux(_) => {
            context.boot(asker, mac, |sources, now| {
                let token = sources.token_state(&path.token, path.mac, path.uuid(), now);
                match path.request(token) {
                    Some(request) => sources.boot(&request, now),
                    None => sources.ask_grub(),
                }
            })
        }
    };
    script.map(MachineAnswer::Script)
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
            FileError::OutsideRoots { .. } | FileError::NotPublic { .. } => Status::Forbidden,
            FileError::Io { .. } => Status::Fault,
        };
        asker.refuse(
            status,
            format!("`{name}` is not served"),
            &error.to_string(),
        )
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
