use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn standing(second: i64) -> Standing {
    Standing::at(at(second))
}

fn session(id: u64) -> Session {
    let length = Duration::from_secs(100);
    Session::open(SessionId::new(id), standing(0).clock(), length).unwrap()
}

fn armed() -> HostRecord {
    arm("a", None, session(1), &standing(0)).unwrap()
}

fn begun() -> HostRecord {
    match begin_attempt(Some(&armed()), SessionId::new(1), 1, &standing(1)) {
        Ok(Attempt::Begins(record)) => *record,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_host_set_aside_cannot_be_armed() {
    for phase in [Phase::Quarantine, Phase::Retired] {
        let record = HostRecord {
            phase,
            ..HostRecord::new("a", at(0))
        };
        assert_eq!(
            arm("a", Some(&record), session(1), &standing(0)),
            Err(Refusal::SetAside(phase))
        );
    }
}

#[test]
fn a_running_install_cannot_be_armed_over_before_its_deadline() {
    assert!(matches!(
        arm("a", Some(&begun()), session(2), &standing(99)),
        Err(Refusal::Running { .. })
    ));
    let after_the_deadline = arm("a", Some(&begun()), session(2), &standing(100)).unwrap();
    let new_session = after_the_deadline.session.unwrap();
    assert_eq!(
        (new_session.id, new_session.previous_phase),
        (SessionId::new(2), Phase::Failed)
    );
    assert!(arm("a", Some(&armed()), session(2), &standing(1)).is_ok());
}

#[test]
fn an_attempt_begins_once_and_only_in_its_session_and_time() {
    let rows = [
        (1, 1, 1, Ok(Attempt::Running)),
        (2, 1, 1, Err(Refusal::SessionEnded)),
        (1, 1, 100, Err(Refusal::SessionEnded)),
        (
            1,
            3,
            1,
            Err(Refusal::AttemptVoid {
                attempt: 3,
                begun: 1,
            }),
        ),
        (
            1,
            0,
            1,
            Err(Refusal::AttemptVoid {
                attempt: 0,
                begun: 1,
            }),
        ),
    ];
    for (id, attempt, now, expected) in rows {
        assert_eq!(
            begin_attempt(Some(&begun()), SessionId::new(id), attempt, &standing(now)),
            expected
        );
    }
    assert_eq!(
        begin_attempt(None, SessionId::new(1), 1, &standing(1)),
        Err(Refusal::SessionEnded)
    );
}

#[test]
fn a_host_set_aside_loses_its_session_and_comes_back_as_new() {
    let aside = set_aside("a", Some(&begun()), Phase::Quarantine, Some("smoke"), at(5));
    assert_eq!(
        (aside.phase, aside.reason.as_deref()),
        (Phase::Quarantine, Some("smoke"))
    );
    assert!(begin_attempt(Some(&aside), SessionId::new(1), 1, &standing(6)).is_err());
    assert_eq!(release(Some(&aside), at(7)).unwrap().phase, Phase::New);
    assert_eq!(
        release(Some(&armed()), at(7)),
        Err(Refusal::NotAside(Phase::Provisioning))
    );
}

#[test]
fn cancelling_remembers_whether_the_disk_may_be_half_written() {
    assert_eq!(cancel(Some(&armed()), at(5)).unwrap().phase, Phase::New);
    assert_eq!(cancel(Some(&begun()), at(5)).unwrap().phase, Phase::Failed);
    assert_eq!(cancel(None, at(5)), Err(Refusal::NotArmed(Phase::New)));
    let cancelled = cancel(Some(&armed()), at(5)).unwrap();
    assert_eq!(
        begin_attempt(Some(&cancelled), SessionId::new(1), 1, &standing(6)),
        Err(Refusal::SessionEnded)
    );
}

#[test]
fn callbacks_are_idempotent_and_late_ones_only_recorded() {
    let id = SessionId::new(1);
    let done = report(
        Some(&begun()),
        id,
        1,
        CallbackKind::Installed,
        "",
        &standing(50),
    );
    let installed = done.record.unwrap();
    assert_eq!(
        (installed.phase, done.event),
        (Phase::Installed, Some(EventKind::Installed))
    );
    let again = report(
        Some(&installed),
        id,
        1,
        CallbackKind::Installed,
        "",
        &standing(51),
    );
    assert_eq!(
        again,
        Callback {
            record: None,
            event: None
        }
    );
    let failed = report(
        Some(&installed),
        id,
        1,
        CallbackKind::Failed,
        "x",
        &standing(52),
    );
    assert_eq!(
        failed,
        Callback {
            record: None,
            event: Some(EventKind::Late)
        }
    );
    let ready = report(
        Some(&installed),
        id,
        1,
        CallbackKind::Ready,
        "",
        &standing(5000),
    );
    assert_eq!(
        ready,
        Callback {
            record: None,
            event: Some(EventKind::Ready)
        }
    );
}

#[test]
fn callbacks_have_a_short_grace_after_the_deadline() {
    let grace = CALLBACK_GRACE.as_secs() as i64;
    for (now, expected) in [
        (100 + grace - 1, EventKind::Installed),
        (100 + grace, EventKind::Late),
    ] {
        let done = report(
            Some(&begun()),
            SessionId::new(1),
            1,
            CallbackKind::Installed,
            "",
            &standing(now),
        );
        assert_eq!(done.event, Some(expected));
    }
}

#[test]
fn a_callback_of_an_older_session_changes_nothing() {
    let rearmed = arm("a", Some(&armed()), session(2), &standing(1)).unwrap();
    let done = report(
        Some(&rearmed),
        SessionId::new(1),
        1,
        CallbackKind::Installed,
        "",
        &standing(2),
    );
    assert_eq!(
        done,
        Callback {
            record: None,
            event: Some(EventKind::Late)
        }
    );
}

#[test]
fn a_callback_of_a_void_attempt_changes_nothing() {
    let mut second = begun();
    second.session.as_mut().unwrap().attempts = 2;
    for kind in [
        CallbackKind::Installed,
        CallbackKind::Failed,
        CallbackKind::Progress,
        CallbackKind::Ready,
        CallbackKind::Log,
    ] {
        for (attempt, expected) in [(1, EventKind::Late), (2, kind.event())] {
            let done = report(
                Some(&second),
                SessionId::new(1),
                attempt,
                kind,
                "",
                &standing(50),
            );
            assert_eq!(done.event, Some(expected), "{kind:?} of attempt {attempt}");
            assert!(attempt == 2 || done.record.is_none());
        }
    }
}

#[test]
fn a_session_tells_how_it_goes_on_for_a_day() {
    let day = REPORT_GRACE.as_secs() as i64;
    for kind in [
        CallbackKind::Progress,
        CallbackKind::Ready,
        CallbackKind::Log,
    ] {
        for (now, expected) in [(99 + day, kind.event()), (100 + day, EventKind::Late)] {
            let done = report(
                Some(&begun()),
                SessionId::new(1),
                1,
                kind,
                "",
                &standing(now),
            );
            assert_eq!(done.event, Some(expected), "{kind:?} at {now}");
        }
    }
}

#[test]
fn the_reason_of_a_quarantine_cannot_move_the_cursor_of_a_terminal() {
    let reason = Some("smoke\x1b[2J\nand fire");
    let record = set_aside("a", None, Phase::Quarantine, reason, Timestamp::UNIX_EPOCH);
    let expected = "smoke\u{fffd}[2J\u{fffd}and fire";
    assert_eq!(record.reason.as_deref(), Some(expected));
}
