//! How many files are copied at the same time.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::support::rack::{BUNDLE, Rack};
use crate::transport::server::{FakeRegistry, response};

/// Holds requests until so many are there at the same time, and counts them.
#[derive(Default)]
struct Door {
    /// How many requests are held now, and the largest number so far.
    seen: Mutex<(usize, usize)>,
    changed: Condvar,
}

impl Door {
    fn pass(&self, together: usize) {
        let mut seen = self.seen.lock().expect("the door");
        seen.0 += 1;
        seen.1 = seen.1.max(seen.0);
        self.changed.notify_all();
        let patience = Duration::from_secs(60);
        let too_few = |seen: &mut (usize, usize)| seen.1 < together;
        let waited = self.changed.wait_timeout_while(seen, patience, too_few);
        waited.expect("the door").0.0 -= 1;
    }
}

#[test]
fn as_many_files_are_copied_at_once_as_jobs_says() {
    let rack = Rack::a();
    rack.done(&["bundle", "publish", BUNDLE, "mirror"]);
    let blobs = Arc::new(rack.tree("mirror/blobs"));
    let is_manifest = |content: &[u8]| {
        let text = String::from_utf8_lossy(content);
        text.contains("application/vnd.pxectl.bundle.v1")
    };
    let manifest = blobs.iter().find(|(_, it)| is_manifest(it));
    let manifest = manifest.expect("a manifest").1.clone();
    for (jobs, together) in [("1", 1), ("2", 2), ("4", 3)] {
        let door = Arc::new(Door::default());
        let (of_server, blobs, manifest) = (door.clone(), blobs.clone(), manifest.clone());
        let fake = FakeRegistry::start(move |asked, _| {
            let path = asked.path.as_str();
            match asked.method.as_str() {
                "POST" => response("202 Accepted", "Location: /upload/1\r\n", b""),
                "PUT" => {
                    // The empty configuration and the name come after all files.
                    if asked.headers.contains("content-length: 4096")
                        || asked.headers.contains("content-length: 65536")
                    {
                        of_server.pass(together);
                    }
                    response("201 Created", "", b"")
                }
                "GET" if path.contains("/pull/blobs/") => {
                    of_server.pass(together);
                    let blob = (blobs.iter()).find(|(name, _)| {
                        let name = name.file_name().expect("a name").to_string_lossy();
                        path.ends_with(&*name)
                    });
                    response("200 OK", "", &blob.expect("a blob").1)
                }
                "GET" if path.contains("/pull/manifests/") => {
                    let kind = "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n";
                    response("200 OK", kind, &manifest)
                }
                _ => response("404 Not Found", "", b""),
            }
        });
        let place = fake.place("push");
        rack.done(&[
            "bundle",
            "publish",
            BUNDLE,
            &place,
            "--plain-http",
            "--jobs",
            jobs,
        ]);
        assert_eq!(door.seen.lock().expect("the door").1, together, "{jobs}");
        *door.seen.lock().expect("the door") = (0, 0);
        let place = fake.place("pull");
        let pull = [
            "bundle",
            "pull",
            &place,
            BUNDLE,
            "--plain-http",
            "--jobs",
            jobs,
        ];
        Rack::empty().done(&[&pull[..], &["--bundles", "store"]].concat());
        assert_eq!(door.seen.lock().expect("the door").1, together, "{jobs}");
    }
}
