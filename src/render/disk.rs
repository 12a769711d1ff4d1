//! Finding the one disk that the inventory names, in the shell of an installer.

use super::templates::shell_word;
use crate::inventory::DiskSelector;

/// Writes a POSIX shell fragment, on one line, that sets `disk` to the path of the one disk that
/// the selector names, and runs `otherwise` when there is none, or more than one.
pub fn find_disk(selector: &DiskSelector, otherwise: &str) -> String {
    let candidates = match selector {
        DiskSelector::Wwn(wwn) => by_link(&[
            format!("/dev/disk/by-id/wwn-{wwn}"),
            format!("/dev/disk/by-id/nvme-eui.{}", wwn.trim_start_matches("0x")),
        ]),
        DiskSelector::Serial(serial) => by_link(&[
            format!("/dev/disk/by-id/*_{serial}"),
            format!("/dev/disk/by-id/virtio-{serial}"),
        ]),
        DiskSelector::ByPath(path) => by_link(&[format!("/dev/disk/by-path/{path}")]),
        DiskSelector::Model { model, min_size } => format!(
            "for s in /sys/block/*; do [ -r $s/device/model ] || continue; \
             [ \"$(sed 's/ *$//' $s/device/model)\" = {} ] || continue; \
             [ \"$(cat $s/size)\" -ge {} ] || continue; d=/dev/${{s##*/}};",
            shell_word(model),
            min_size.div_ceil(512),
        ),
    };
    format!(
        "disk=; found=0; {candidates} [ \"$d\" = \"$disk\" ] && continue; disk=$d; found=$((found+1)); done; \
         [ $found = 1 ] || {{ {otherwise}; }}"
    )
}

fn by_link(patterns: &[String]) -> String {
    format!(
        "for l in {}; do [ -b \"$l\" ] || continue; d=$(readlink -f \"$l\");",
        patterns.join(" ")
    )
}

/// Describes the selector for people.
pub fn describe(selector: &DiskSelector) -> String {
    match selector {
        DiskSelector::Wwn(wwn) => format!("wwn {wwn}"),
        DiskSelector::Serial(serial) => format!("serial {serial}"),
        DiskSelector::ByPath(path) => format!("path {path}"),
        DiskSelector::Model { model, min_size } => {
            format!("model {model} of at least {min_size} octets")
        }
    }
}
