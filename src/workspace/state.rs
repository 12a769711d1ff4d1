use std::path::PathBuf;

/// Returns where a site's store lies when no option says so: `/var/lib/pxectl/<site>` where it is
/// there or we are root, else below the XDG state directory.
pub fn state_directory(site: &str) -> PathBuf {
    let system = PathBuf::from("/var/lib/pxectl").join(site);
    if system.is_dir() || rustix::process::geteuid().is_root() {
        return system;
    }
    let from = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state =
        from("XDG_STATE_HOME").or_else(|| from("HOME").map(|home| home.join(".local/state")));
    state
        .unwrap_or_else(|| PathBuf::from("."))
        .join("pxectl")
        .join(site)
}
