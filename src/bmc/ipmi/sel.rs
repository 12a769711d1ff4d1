use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use crate::bmc::log::LogEntry;
use crate::machine::cleaned;

/// The name of the log. Source: IPMI 2.0 §31, system event log.
const NAME: &str = "SEL";
/// The longest message to keep, in bytes.
const MESSAGE_LIMIT: usize = 256;

/// Parses the output of `ipmitool -c sel list` with the time zone UTC: one entry on each line, as
/// `id,date,time,sensor,description,direction`. Skips lines that are not entries.
///
/// The clock of a BMC counts from its own start until the clock is set; entries from before that
/// have no time.
pub fn parse_sel(text: &str) -> Vec<LogEntry> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<LogEntry> {
    let mut fields = line.split(',').map(str::trim);
    let id = u32::from_str_radix(fields.next()?, 16).ok()?;
    let (date, time) = (fields.next()?, fields.next()?);
    let sensor = fields.next()?;
    let rest: Vec<&str> = fields.filter(|field| !field.is_empty()).collect();
    let event = match rest.split_last() {
        Some((&"Asserted", description)) => description.join(", "),
        Some((&"Deasserted", description)) => format!("{} (ended)", description.join(", ")),
        _ => rest.join(", "),
    };
    let sensor_and_event = [sensor, &event].join(": ");
    let message = cleaned(sensor_and_event.trim_matches([':', ' ']), MESSAGE_LIMIT);
    (!message.is_empty()).then(|| LogEntry {
        time: timestamp(date, time),
        log: NAME.to_owned(),
        id: id.to_string(),
        severity: None,
        message,
        message_id: None,
    })
}

/// Parses `11/29/26` or `11/29/2026`, and `12:00:00` or `12:00:00 UTC`.
fn timestamp(date_text: &str, time_text: &str) -> Option<Timestamp> {
    let [month, day, year] = numbers(date_text, '/')?;
    let time_text = time_text.split(' ').next()?;
    let [hour, minute, second] = numbers(time_text, ':')?;
    let year = if year < 100 { year + 2000 } else { year };
    let small = |number: u16| i8::try_from(number).ok();
    let date = Date::new(i16::try_from(year).ok()?, small(month)?, small(day)?).ok()?;
    let time = Time::new(small(hour)?, small(minute)?, small(second)?, 0).ok()?;
    Some(
        date.to_datetime(time)
            .to_zoned(TimeZone::UTC)
            .ok()?
            .timestamp(),
    )
}

fn numbers(text: &str, separator: char) -> Option<[u16; 3]> {
    let numbers: Option<Vec<u16>> = text.split(separator).map(|it| it.parse().ok()).collect();
    numbers?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::parse_sel;

    #[test]
    fn entries_are_parsed_in_each_form() {
        let text = "1, Pre-Init ,0000027367,Platform Security #0x2a,\
                    Pre-boot password violation - user password,Asserted\n\
                    a,11/29/26,12:00:00 UTC,Temperature #0x30,Upper Non-critical going high,Asserted\n\
                    b,11/29/2026,12:00:05,Temperature #0x30,Upper Non-critical going high,Deasserted\n\
                    c,,,OEM record e2,805d2b6a20000401300157645a\n\
                    SEL has no entries\n";
        let entries = parse_sel(text);
        let found: Vec<_> = entries
            .iter()
            .map(|it| {
                let time = it.time.map(|time| time.to_string()).unwrap_or_default();
                (it.id.as_str(), time, it.message.as_str())
            })
            .collect();
        assert_eq!(
            found,
            [
                (
                    "1",
                    String::new(),
                    "Platform Security 0x2a: Pre-boot password violation - user password"
                ),
                (
                    "10",
                    "2026-11-29T12:00:00Z".to_owned(),
                    "Temperature 0x30: Upper Non-critical going high"
                ),
                (
                    "11",
                    "2026-11-29T12:00:05Z".to_owned(),
                    "Temperature 0x30: Upper Non-critical going high (ended)"
                ),
                (
                    "12",
                    String::new(),
                    "OEM record e2: 805d2b6a20000401300157645a"
                ),
            ]
        );
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in any::<String>(), date in "[0-9/]{0,12}", time in "[0-9: A-Z]{0,12}") {
            let _ = parse_sel(&text);
            let _ = parse_sel(&format!("1,{date},{time},a,b,Asserted"));
        }
    }
}
