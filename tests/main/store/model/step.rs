//! The steps of a sequence, and the generator that draws them.

use super::site::{FIRST, HOSTS, INVENTORIES, RETRY};
use crate::support::oracle::Draw;

/// One step. Hosts are numbered; times are in seconds.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Arms the first hosts, or one, with one command.
    Provision {
        first: usize,
        count: usize,
        deadline: i64,
    },
    Cancel {
        host: usize,
    },
    Quarantine {
        host: usize,
    },
    Retire {
        host: usize,
    },
    Release {
        host: usize,
    },
    Boot {
        machine: usize,
        shown: Shown,
        by: Way,
    },
    Fetch {
        host: usize,
        what: Wish,
    },
    Report {
        host: usize,
        what: Wish,
        text: Text,
    },
    /// What a server does each second.
    Sweep,
    Settle,
    /// Time passes by both clocks.
    Pass {
        seconds: i64,
    },
    /// The wall clock is set, and the time since boot goes on.
    SetClock {
        by: i64,
    },
    AcceptClock,
    Reboot,
    /// The processes end, and a server starts; `settles` if it comes as far as to settle its store.
    Restart {
        settles: bool,
    },
    /// A server is killed while it writes that an order ended, before or after the commit.
    KillInChange {
        host: usize,
        is_committed: bool,
    },
    TakeCopy,
    PutCopyBack {
        in_place: bool,
        settles: bool,
    },
    BackUp,
    RestoreBackup,
    /// The state directory gets another name, by which it is opened.
    Relocate {
        settles: bool,
    },
    /// The state directory gets another name under an open store, or its name back.
    MoveAway,
    MoveBack,
    Delete {
        whole_directory: bool,
    },
    LoseWitness,
    Reload {
        inventory: usize,
    },
}

/// What a machine shows of itself, compared with what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    Truth,
    /// Its firmware swaps the bytes of its UUID.
    SwappedUuid,
    NoSerial,
    /// The network card of the next machine.
    OtherMac,
    UnknownMac,
    OtherUuid,
    NoUuid,
    ZeroUuid,
    OtherSerial,
    OtherArchitecture,
}

/// By which way a machine gets its boot token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From its own network: through the interface or through the listed relay.
    Home,
    /// Through a relay of its network that the inventory does not list.
    UnlistedRelay,
    /// From outside, in the name of a relay on a network that has an interface.
    ForgedRelay,
    /// From outside, with a link selection in the request.
    ForgedLink,
    NoToken,
    /// With the token of its boot before.
    OldToken,
    OtherToken,
}

/// Whose capability is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The latest that the machine was given.
    Latest,
    /// The first that it was given.
    First,
    /// An attempt that is far ahead.
    Later,
    /// One that is made with another store's key.
    Foreign,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    Installed,
    Failed,
    Progress,
    Ready,
    Log,
}

/// Draws the sequence of a number.
pub fn sequence(number: u64) -> Vec<Step> {
    let mut sequences = Sequences {
        draw: Draw::new(number),
        has_files: false,
    };
    sequences.sequence()
}

struct Sequences {
    draw: Draw,
    has_files: bool,
}

impl Sequences {
    /// Draws a sequence. It begins with hosts that are armed; in some of them, files are copied,
    /// moved and deleted, which takes most of the time.
    fn sequence(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        self.has_files = self.draw.one_in(12);
        if self.draw.one_in(3) {
            steps.push(Step::Reload { inventory: RETRY });
        }
        steps.push(Step::Provision {
            first: 0,
            count: 1 + self.draw.below(HOSTS.len()),
            deadline: self.deadline(),
        });
        if self.has_files {
            steps.push(
                self.draw
                    .of(&[Step::TakeCopy, Step::TakeCopy, Step::BackUp]),
            );
        }
        let length = 10 + self.draw.below(6);
        while steps.len() < length {
            match self.draw.below(5) {
                0 => self.install(&mut steps),
                1 if self.has_files => {
                    let host = self.draw.below(HOSTS.len());
                    let step = self.of_files(host);
                    steps.push(step);
                }
                _ => {
                    let step = self.step();
                    steps.push(step);
                }
            }
        }
        steps
    }

    /// Draws what a machine does that installs, often with something between its steps.
    fn install(&mut self, steps: &mut Vec<Step>) {
        let host = self.draw.below(HOSTS.len());
        let what = Wish::Latest;
        let text = self.draw.of(&[Text::Installed, Text::Failed]);
        let (machine, shown, by) = (host, Shown::Truth, Way::Home);
        let boot = Step::Boot { machine, shown, by };
        let fetch = Step::Fetch { host, what };
        let first = Wish::First;
        // Where a second attempt is allowed, the first one is void.
        let old = Step::Fetch { host, what: first };
        let report = Step::Report { host, what, text };
        let own = match self.draw.one_in(4) {
            true => &[boot, fetch, boot, fetch, old, report][..],
            false => &[boot, fetch, report],
        };
        for own in own {
            steps.push(*own);
            match self.draw.below(8) {
                0 => return,
                1..4 => {
                    let step = self.step();
                    steps.push(step);
                }
                _ => {}
            }
        }
    }

    fn step(&mut self) -> Step {
        let host = self.draw.below(HOSTS.len());
        // What is about files costs most of the time.
        match self.draw.below(1000) {
            0..230 => self.boot(host),
            230..370 => Step::Fetch {
                host,
                what: self.wish(),
            },
            370..490 => Step::Report {
                host,
                what: self.wish(),
                text: self.draw.weighted(&[
                    (5, Text::Installed),
                    (4, Text::Failed),
                    (1, Text::Progress),
                    (1, Text::Ready),
                    (1, Text::Log),
                ]),
            },
            490..600 => Step::Provision {
                first: host,
                count: 1,
                deadline: self.deadline(),
            },
            600..640 => Step::Cancel { host },
            640..665 => Step::Quarantine { host },
            665..675 => Step::Retire { host },
            675..715 => Step::Release { host },
            715..775 => Step::Sweep,
            775..780 => Step::Settle,
            780..845 => Step::Pass {
                seconds: self.seconds(),
            },
            845..895 => {
                let seconds = self.seconds();
                let by = if self.draw.one_in(2) {
                    seconds
                } else {
                    -seconds
                };
                Step::SetClock { by }
            }
            895..900 => Step::AcceptClock,
            900..996 => {
                let inventory = if self.draw.one_in(2) {
                    self.draw.of(&[FIRST, RETRY])
                } else {
                    self.draw.below(INVENTORIES)
                };
                Step::Reload { inventory }
            }
            _ => self.of_files(host),
        }
    }

    fn boot(&mut self, machine: usize) -> Step {
        let shown = self.draw.weighted(&[
            (20, Shown::Truth),
            (2, Shown::SwappedUuid),
            (2, Shown::NoSerial),
            (2, Shown::OtherMac),
            (1, Shown::UnknownMac),
            (2, Shown::OtherUuid),
            (1, Shown::NoUuid),
            (1, Shown::ZeroUuid),
            (2, Shown::OtherSerial),
            (1, Shown::OtherArchitecture),
        ]);
        let by = self.draw.weighted(&[
            (24, Way::Home),
            (1, Way::UnlistedRelay),
            (1, Way::ForgedRelay),
            (1, Way::ForgedLink),
            (1, Way::NoToken),
            (2, Way::OldToken),
            (1, Way::OtherToken),
        ]);
        Step::Boot { machine, shown, by }
    }

    fn of_files(&mut self, host: usize) -> Step {
        let settles = !self.draw.one_in(3);
        match self.draw.below(100) {
            0..10 => Step::Reboot,
            10..22 => Step::Restart { settles },
            22..34 => Step::KillInChange {
                host,
                is_committed: self.draw.one_in(2),
            },
            34..50 => Step::TakeCopy,
            50..68 => Step::PutCopyBack {
                in_place: self.draw.one_in(2),
                settles,
            },
            68..74 => Step::BackUp,
            74..80 => Step::RestoreBackup,
            80..84 => Step::Relocate { settles },
            84..88 => Step::MoveAway,
            88..93 => Step::MoveBack,
            93..97 => Step::Delete {
                whole_directory: self.draw.one_in(2),
            },
            _ => Step::LoseWitness,
        }
    }

    fn wish(&mut self) -> Wish {
        self.draw.weighted(&[
            (12, Wish::Latest),
            (3, Wish::First),
            (1, Wish::Later),
            (1, Wish::Foreign),
        ])
    }

    fn deadline(&mut self) -> i64 {
        self.draw.of(&[60, 600, 2700, 2700, 7200, 86_400])
    }

    fn seconds(&mut self) -> i64 {
        let longest = self.draw.of(&[5, 40, 900, 3600, 10_000, 90_000, 864_000]);
        1 + self.draw.below(longest) as i64
    }
}
