//! The one table of vendors: what differs between their controllers, each as a fact of its own.

/// A kind of controller.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    pub name: &'static str,
    /// `Vendor` and `Product` of the service root.
    pub vendor: Option<&'static str>,
    pub product: &'static str,
    pub manufacturer: &'static str,
    pub model: &'static str,
    /// The ids of the systems behind one address, as they stand in paths.
    pub systems: &'static [&'static str],
    pub manager: &'static str,
    pub sessions: Sessions,
    pub media: Media,
    pub resets: &'static [&'static str],
    /// Whether the reset types are listed, and where.
    pub listed: Listed,
    pub targets: &'static [&'static str],
    pub etag: Etag,
    pub rules: &'static [Rule],
    /// Whether `SerialNumber` is that of the board, and the machine's stands in `SKU`.
    pub serial_in_sku: bool,
    /// How a log-in with a wrong password is answered.
    pub bad_login: u16,
    pub post: PostSign,
    /// The settings of its firmware that it shows, each with its value.
    pub settings: &'static [(&'static str, &'static str)],
}

/// How one sees that a machine is at its self-test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostSign {
    /// `BootProgress` of the system.
    Progress,
    /// A word of HPE's own in the system.
    Hpe,
    /// The message of the refusal alone.
    Message,
}

/// How one logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sessions {
    /// At the path that the service root links to.
    At(&'static str),
    /// As `At`, without a `Location` in the answer: the session's address stands in its body only.
    NoLocation(&'static str),
    /// There are none.
    Missing,
    /// All are taken.
    Full(&'static str),
}

/// Where virtual media are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    Manager,
    System,
    /// Under the manager, and without actions: they are set by PATCH.
    ManagerByPatch,
    None,
}

/// Where allowed values are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    Allowable,
    ActionInfo,
    Nowhere,
}

/// What a PATCH has to say of the version that it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Etag {
    /// There are none.
    Missing,
    /// They are compared where they are sent.
    Optional,
    /// They must be sent: 428 without, 412 when it is another.
    Required,
    /// As `Required`, with 412 for both, as some do.
    Failed,
}

/// One way in which a controller differs about the next boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A body with `Disabled` and Target `None` is refused.
    RefusesDisabledWithNone,
    /// A body without a Target is refused.
    NeedsTarget,
    /// The mode falls back to `Legacy` where it is not sent.
    ForgetsMode,
    /// `Once` reads as `Continuous`, and stays.
    OnceBecomesContinuous,
    /// A mode is refused: it can be read only.
    RefusesMode,
    /// It applies the body and answers 400.
    AppliesAndRefuses,
    /// PATCH is answered 404 until the page of boot options was read.
    NotFoundUntilRead,
    /// What a PATCH sets is seen by the second read only.
    SeenLate,
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

/// By the standard, with everything that it allows.
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
    listed: Listed::Allowable,
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

/// sushy-tools, as Metal3's labs have it.
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

/// Supermicro X10, where `Once` is not honoured either.
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

/// Dell iDRAC 8 of the 13th generation.
pub const DELL_13G: Profile = Profile {
    name: "dell-13g",
    vendor: None,
    product: "Integrated Dell Remote Access Controller",
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
    rules: &[Rule::SeenLate],
    ..DELL_13G
};

/// Lenovo XClarity.
pub const LENOVO: Profile = Profile {
    name: "lenovo",
    vendor: Some("Lenovo"),
    product: "XClarity Controller",
    manufacturer: "Lenovo",
    model: "ThinkSystem SR650",
    systems: &["1"],
    manager: "1",
    etag: Etag::Required,
    media: Media::ManagerByPatch,
    listed: Listed::ActionInfo,
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
    listed: Listed::ActionInfo,
    ..CONTOSO
};

/// Two machines in one enclosure behind one address, with ids that are no numbers.
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
    listed: Listed::Nowhere,
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
