//! The leases, alone and beside a reader.

use std::net::Ipv4Addr;

use pxectl::machine::LeaseChange;
use pxectl::machine::{Lease, MacAddress};
use pxectl::store::{LeaseStore, SqliteLeases, StoreFault};

use super::at;

fn lease(last: u8, holder: Option<u8>, second: i64) -> Lease {
    Lease {
        address: Ipv4Addr::new(255, 20, 0, last),
        network: "prov0".into(),
        holder: holder.map(|octet| MacAddress::new([2, 0, 0, 0, 0, octet])),
        expires: at(second),
    }
}

#[test]
fn changes_are_kept_in_order_across_a_restart() {
    use LeaseChange::{Hold, Release};
    let directory = tempfile::tempdir().unwrap();
    let mut leases = SqliteLeases::open(directory.path()).unwrap();
    assert_eq!(leases.load().unwrap(), []);
    let (first, second) = (lease(9, Some(1), 60), lease(7, Some(2), 60));
    leases
        .commit(&[Hold(first.clone()), Hold(second.clone())])
        .unwrap();
    assert_eq!(leases.load().unwrap(), [second.clone(), first.clone()]);

    let declined = lease(7, None, 90);
    let renewed = lease(8, Some(3), 99);
    leases
        .commit(&[
            Release(first.address),
            Release(renewed.address),
            Hold(lease(8, Some(3), 70)),
            Hold(declined.clone()),
            Hold(renewed.clone()),
        ])
        .unwrap();
    drop(leases);
    let leases = SqliteLeases::open(directory.path()).unwrap();
    assert_eq!(leases.load().unwrap(), [declined, renewed]);
}

#[test]
fn a_reader_follows_the_server_and_cannot_write() {
    let directory = tempfile::tempdir().unwrap();
    assert!(
        SqliteLeases::open_read_only(directory.path())
            .unwrap()
            .is_none()
    );
    let missing = directory.path().join("missing");
    assert!(SqliteLeases::open_read_only(&missing).unwrap().is_none());
    assert!(!missing.exists());

    let mut server = SqliteLeases::open(directory.path()).unwrap();
    let mut reader = SqliteLeases::open_read_only(directory.path())
        .unwrap()
        .unwrap();
    let change = [LeaseChange::Hold(lease(1, Some(1), 60))];
    server.commit(&change).unwrap();
    assert_eq!(reader.load().unwrap(), server.load().unwrap());
    assert_eq!(reader.load().unwrap().len(), 1);
    let error = reader.commit(&change).unwrap_err();
    assert!(matches!(error.fault, StoreFault::ReadOnly), "{error}");
}

#[test]
fn only_one_server_at_a_time_may_write_leases() {
    let directory = tempfile::tempdir().unwrap();
    let first = SqliteLeases::open(directory.path()).unwrap();
    let error = SqliteLeases::open(directory.path()).err().unwrap();
    assert!(matches!(error.fault, StoreFault::InUse), "{error}");
    let path = directory.path().join("leases.db");
    let expected = format!(
        "cannot use the store `{}`: another DHCP server is using the leases",
        path.display()
    );
    assert_eq!(error.to_string(), expected);
    assert!(
        SqliteLeases::open_read_only(directory.path())
            .unwrap()
            .is_some()
    );
    drop(first);
    SqliteLeases::open(directory.path()).unwrap();
}
