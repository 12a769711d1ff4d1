//! The one table of vendors: each difference between their BMCs is a separate fact.

/// A kind of BMC.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    pub name: &'static str,
    /// `Vendor` and `Product` of the service root.
    pub vendor: Option<&'static str>,
    pub product: &'static str,
    pub manufacturer: &'static str,
    pub model: &'static str,
    /// The identifiers of the systems behind one address, as they appear in paths.
    pub systems: &'static [&'static str],
    pub manager: &'static str,
    pub sessions: Sessions,
    pub media: Media,
    pub resets: &'static [&'static str],
    /// Where the reset types are listed.
    pub listed: ValueList,
    pub targets: &'static [&'static str],
    pub etag: Etag,
    pub rules: &'static [Rule],
    /// Whether `SerialNumber` is the number of the board, and `SKU` that of the machine.
    pub serial_in_sku: bool,
    /// The status of a login with a wrong password.
    pub bad_login: u16,
    pub post: PostSign,
    /// The firmware settings and their values.
    pub settings: &'static [(&'static str, &'static str)],
}

/// How a BMC shows that a machine is in its self-test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostSign {
    /// `BootProgress` of the system.
    Progress,
    /// HPE's own property of the system.
    Hpe,
    /// Only the message of a refusal.
    Message,
}

/// How clients log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sessions {
    /// At the path that the service root links to.
    At(&'static str),
    /// Like `At`, but the response has no `Location`: only the body has the path of the session.
    NoLocation(&'static str),
    /// There are no sessions.
    Missing,
    /// All sessions are in use.
    Full(&'static str),
}

/// Where virtual media are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    Manager,
    System,
    /// Below the manager, without actions: PATCH changes them.
    ManagerByPatch,
    None,
}

/// Where supported values are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueList {
    Allowable,
    ActionInfo,
    Nowhere,
}

/// What a PATCH must contain about the version that it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Etag {
    /// There are no entity tags.
    Missing,
    /// A tag is compared if it is sent.
    Optional,
    /// A tag is required: 428 without a tag, 412 with another one.
    Required,
    /// Like `Required`, with 412 in both cases, as some BMCs do.
    Failed,
}

/// One way in which a BMC differs about the next boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A body with `Disabled` and target `None` is refused.
    RefusesDisabledWithNone,
    /// A body without a target is refused.
    NeedsTarget,
    /// The mode falls back to `Legacy` unless it is sent.
    ForgetsMode,
    /// `Once` reads as `Continuous` and stays.
    OnceBecomesContinuous,
    /// A body with a mode is refused: the property is read-only.
    RefusesMode,
    /// The BMC applies the body and responds with 400.
    AppliesAndRefuses,
    /// PATCH fails with 404 until the boot options were read.
    NotFoundUntilRead,
    /// Only the second read shows what a PATCH has set.
    ReportedLate,
}

const RESETS: &[&str] = &[
    "On",
    "ForceOff",
    "GracefulShutdown",
    "ForceRestart",
    "PowerCycle",
];
const TARGETS: &[&str] = &["None", "Pxe", "Cd", "Hdd", "UefiHttp"];
const STANDARD: &str = "/redfish/v1/SessionService/Sessions";

/// The standard, with every feature.
pub const CONTOSO: Profile = Profile {
    name: "contoso",
    vendor: Some("Contoso"),
    product: "Contoso BMC",
    manufacturer: "Contoso",
    model: "3500RX",
    systems: &["437XR1138R2"],
    manager: "BMC",
    sessions: Sessions::At(STANDARD),
    media: Media::Manager,
    resets: RESETS,
    listed: ValueList::Allowable,
    targets: TARGETS,
    etag: Etag::Optional,
    rules: &[],
    serial_in_sku: false,
    bad_login: 401,
    post: PostSign::Progress,
    settings: &[],
};

/// HPE iLO 5.
pub const HPE: Profile = Profile {
    name: "hpe",
    vendor: Some("HPE"),
    product: "ProLiant DL360 Gen10",
    manufacturer: "HPE",
    model: "ProLiant DL360 Gen10",
    systems: &["1"],
    manager: "1",
    resets: &[
        "On",
        "ForceOff",
        "GracefulShutdown",
        "ForceRestart",
        "Nmi",
        "PushPowerButton",
    ],
    rules: &[Rule::RefusesDisabledWithNone, Rule::RefusesMode],
    bad_login: 400,
    post: PostSign::Hpe,
    settings: &[
        ("BootMode", "Uefi"),
        ("Dhcpv4", "Enabled"),
        ("Ipv4Address", "0.0.0.0"),
        ("Ipv4SubnetMask", "0.0.0.0"),
        ("Ipv4Gateway", "0.0.0.0"),
        ("Ipv4PrimaryDNS", "0.0.0.0"),
        ("UrlBootFile", ""),
    ],
    ..CONTOSO
};

/// sushy-tools, as in the labs of Metal3.
pub const SUSHY: Profile = Profile {
    name: "sushy",
    vendor: None,
    product: "Sushy Emulator",
    manufacturer: "Sushy Emulator",
    model: "Virtual",
    systems: &["c5e1f7f0-5f9c-4b1e-9d3d-0c7ac8b0e6a1"],
    manager: "c5e1f7f0-5f9c-4b1e-9d3d-0c7ac8b0e6a1",
    sessions: Sessions::Missing,
    media: Media::System,
    resets: &["On", "ForceOff", "GracefulShutdown", "ForceRestart"],
    targets: &["Pxe", "Cd", "Hdd"],
    etag: Etag::Missing,
    rules: &[Rule::NeedsTarget, Rule::OnceBecomesContinuous],
    ..CONTOSO
};

/// Supermicro X11.
pub const SUPERMICRO: Profile = Profile {
    name: "supermicro",
    vendor: Some("Supermicro"),
    product: "X11DPU",
    manufacturer: "Supermicro",
    model: "SYS-6029U-TR4",
    systems: &["1"],
    manager: "1",
    etag: Etag::Failed,
    rules: &[Rule::ForgetsMode],
    ..CONTOSO
};

/// Supermicro X10, which does not support `Once` either.
pub const SUPERMICRO_X10: Profile = Profile {
    name: "supermicro-x10",
    vendor: None,
    product: "",
    model: "SYS-6028R-T",
    etag: Etag::Missing,
    media: Media::None,
    rules: &[Rule::ForgetsMode, Rule::OnceBecomesContinuous],
    targets: &["None", "Pxe", "Cd", "Hdd"],
    ..SUPERMICRO
};

/// Dell iDRAC 8, 13th generation.
pub const DELL_13G: Profile = Profile {
    name: "dell-13g",
    vendor: None,
    product: "Integrated Dell Remote Access EmulatedController",
    manufacturer: "Dell Inc.",
    model: "PowerEdge R630",
    systems: &["System.Embedded.1"],
    manager: "iDRAC.Embedded.1",
    sessions: Sessions::At("/redfish/v1/Sessions"),
    media: Media::None,
    etag: Etag::Missing,
    targets: &["None", "Pxe", "Cd", "Hdd"],
    rules: &[Rule::AppliesAndRefuses],
    serial_in_sku: true,
    post: PostSign::Message,
    ..CONTOSO
};

/// Dell iDRAC 9.
pub const DELL_14G: Profile = Profile {
    name: "dell-14g",
    vendor: Some("Dell"),
    model: "PowerEdge R640",
    etag: Etag::Optional,
    media: Media::Manager,
    targets: TARGETS,
    rules: &[Rule::ReportedLate],
    ..DELL_13G
};

/// Lenovo XClarity.
pub const LENOVO: Profile = Profile {
    name: "lenovo",
    vendor: Some("Lenovo"),
    product: "XClarity EmulatedController",
    manufacturer: "Lenovo",
    model: "ThinkSystem SR650",
    systems: &["1"],
    manager: "1",
    etag: Etag::Required,
    media: Media::ManagerByPatch,
    listed: ValueList::ActionInfo,
    rules: &[Rule::NotFoundUntilRead],
    ..CONTOSO
};

/// OpenBMC.
pub const OPENBMC: Profile = Profile {
    name: "openbmc",
    vendor: None,
    product: "",
    manufacturer: "Quanta",
    model: "S2BP",
    systems: &["system"],
    manager: "bmc",
    sessions: Sessions::NoLocation(STANDARD),
    etag: Etag::Missing,
    listed: ValueList::ActionInfo,
    ..CONTOSO
};

/// Two machines in one enclosure behind one address, with identifiers that are not numbers.
pub const TWINS: Profile = Profile {
    name: "twins",
    vendor: Some("Twin"),
    product: "Twin Enclosure",
    manufacturer: "Twin",
    model: "T2",
    systems: &["node-b", "node-a%20left"],
    manager: "enclosure",
    sessions: Sessions::Full(STANDARD),
    media: Media::System,
    listed: ValueList::Nowhere,
    ..CONTOSO
};

pub const PROFILES: &[Profile] = &[
    CONTOSO,
    HPE,
    SUSHY,
    SUPERMICRO,
    SUPERMICRO_X10,
    DELL_13G,
    DELL_14G,
    LENOVO,
    OPENBMC,
    TWINS,
];
