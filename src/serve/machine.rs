//! What lies below a machine's own path: its loaders, and what they are told to boot.

use std::io::Read;

use super::context::{Asker, Context, Refused, ServedFile, Status};
use super::log::Level;
use crate::machine::Architecture;
use crate::render::{GrubOrigin, fat_image};
use crate::respond::boot::{MachinePath, MachineQuery};
use crate::workspace::files::FileError;

/// The largest loader that goes into an image, in octets.
const LARGEST_STAGE: u64 = 32 << 20;

/// What a machine's path is answered with.
pub enum MachineAnswer {
    /// A script or a configuration.
    Script(String),
    /// A file.
    File(ServedFile),
    /// A volume that firmware boots, and its name.
    Image(String, Vec<u8>),
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
        MachineQuery::KernelRefused => return Err(kernel_refused(context, asker, path)),
        MachineQuery::Image(architecture) => return image(context, asker, path, *architecture),
        MachineQuery::GrubStub => {
            context.boot(asker, mac, |sources, _| sources.ask_grub(GrubOrigin::Tftp))
        }
        MachineQuery::IpxeScript => {
            context.boot(asker, mac, |sources, _| sources.ask_ipxe(&path.token))
        }
        MachineQuery::Grub(_) | MachineQuery::Pxelinux(_) => {
            context.boot(asker, mac, |sources, now| {
                let token = sources.token_state(&path.token, path.mac, path.uuid(), now);
                match path.request(token) {
                    Some(request) => sources.boot(&request, now),
                    None => sources.ask_grub(GrubOrigin::Tftp),
                }
            })
        }
    };
    script.map(MachineAnswer::Script)
}

/// Logs what GRUB tells: there is no such file. It is nobody's word, and changes nothing.
fn kernel_refused(context: &Context, asker: Asker, path: &MachinePath) -> Refused {
    let loaded = context.live.current();
    let host = loaded.inventory.host_by_mac(path.mac);
    let text = "GRUB could not load the kernel: with Secure Boot on, it takes one that is signed \
                and unaltered; the machine's screen has GRUB's own words";
    let line = asker.line(Level::Error, "kernel-refused", text);
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
    let letters = architecture.cpu().efi_letters();
    let first_name = format!("EFI/BOOT/BOOT{}.EFI", letters.to_uppercase());
    let second_name = format!("EFI/BOOT/grub{letters}.efi");
    let (server, base) = (loaded.inventory.site.server.address, path.base());
    let origin = GrubOrigin::Image {
        server,
        base: &base,
    };
    let stub = context.boot(asker, Some(path.mac), |sources, _| sources.ask_grub(origin))?;
    let files = [
        (first_name, stage(context, asker, &loader.first)?),
        (second_name, stage(context, asker, second)?),
        ("grub/grub.cfg".to_owned(), stub.into_bytes()),
    ];
    let volume = fat_image(&files).map_err(|error| {
        let why = format!("cannot make the image: {error}");
        asker.refuse(Status::Fault, "the image cannot be made", &why)
    })?;
    Ok(MachineAnswer::Image(format!("{architecture}.img"), volume))
}

/// Reads a loader that goes into an image.
fn stage(context: &Context, asker: Asker, name: &str) -> Result<Vec<u8>, Refused> {
    let mut served = file(context, asker, name)?;
    let fault = |why: &str| asker.refuse(Status::Fault, "the image cannot be made", why);
    if served.size > LARGEST_STAGE {
        return Err(fault(&format!(
            "`{name}` has more than {LARGEST_STAGE} octets"
        )));
    }
    let mut octets = Vec::new();
    let read = served.file.read_to_end(&mut octets);
    read.map_err(|error| fault(&format!("cannot read `{name}`: {error}")))?;
    Ok(octets)
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
