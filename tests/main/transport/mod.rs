//! Transfers of bundles with the real binary and real programs: Debian's docker-registry on loopback, skopeo,
//! umoci and minisign. Registries that misbehave are small fakes.

mod airgap;
mod certificates;
mod credentials;
mod crowd;
mod durability;
mod hostile;
mod interrupted;
mod killed;
mod life;
mod netboot;
mod refusals;
mod registry;
mod revoked;
mod server;
mod signatures;
mod tokens;
mod wire;
