//! YAML text -> typed [`Inventory`], and [`Diagnostic`]s with `file:line:column`.
//!
//! [`parse`] reads every document and reports all errors at once. It returns the inventory only if
//! there is no error.

mod argument;
mod block;
mod bundle;
mod checks;
mod claims;
mod client_class;
mod controller;
mod correct;
mod dhcp_mode;
mod diagnostic;
mod disk;
mod documents;
mod field_spans;
mod filter;
mod host;
mod hostname;
mod loader;
mod loader_syntax;
mod manifest;
mod menu;
mod model;
mod names;
mod network;
mod option_value;
mod options;
mod ports;
mod profile;
mod reader;
mod redaction;
mod report;
mod route;
mod seconds;
mod secret;
mod server;
mod signature;
mod signature_policy;
mod site;
mod source;
mod spec;
mod subnet;
mod tree;
mod vars;

pub use block::{AddressBlock, ParseAddressBlockError};
pub use bundle::{
    ARTIFACT_TYPE, Bundle, BundleFile, EMPTY_CONFIG, FileSource, MANIFEST_MEDIA_TYPE, is_inside,
};
pub use client_class::{ClassBootFile, ClientClass};
pub use controller::{Bmc, BmcScheme, BmcUrl, Certificate, ParseBmcUrlError, parse_fingerprint};
pub use correct::{Correction, corrected};
pub use dhcp_mode::DhcpMode;
pub use diagnostic::{Diagnostic, Label, Severity, nearest, plural, sort};
pub use documents::{ParsedInventory, parse};
pub use field_spans::{FieldSpans, LoaderSpans};
pub use filter::{ClientPatterns, Filter, Oui, ParseOuiError};
pub use host::{Host, LocalBoot, Nic};
pub use loader::Loader;
pub use manifest::ManifestError;
pub use menu::{INITRD, KERNEL, Menu, MenuEntry, MenuGroup, MenuTarget};
pub use model::Inventory;
pub use names::{Names, names};
pub use network::Network;
pub use option_value::{OptionSetting, OptionValue, ParseOptionValueError};
pub use options::ExtraOptions;
pub use ports::{ParsePortRangeError, PortRange};
pub use profile::Profile;
pub use redaction::Sources;
pub use report::DiagnosticJson;
pub use route::{Destination, ParseDestinationError, Route};
pub use secret::SecretReference;
pub use server::Server;
pub use signature::{KeyId, ParsePublicKeyError, PublicKey, is_signature};
pub use signature_policy::{SIGNED_EXPIRES, SignatureError, SignaturePolicy, SiteKey};
pub use site::{
    IdentityPolicy, Provisioning, SHORTEST_DEADLINE, Site, USUAL_DEADLINE, UnknownPolicy,
};
pub use source::{Position, SourceFile, Span};
pub use spec::{
    BundleSpec, Content, PresetUse, Signature, SignatureKey, SignaturePlace, SpecFile, SpecSource,
    bundle_of, parse_spec,
};
pub use subnet::{AddressRange, ParseAddressRangeError, ParseSubnetError, Subnet};

/// The types of fields that belong to the installer layer.
pub use crate::installer::{DiskSelector, Installer};

pub(crate) use reader::{is_name, list};

#[cfg(test)]
pub mod site_builder;
