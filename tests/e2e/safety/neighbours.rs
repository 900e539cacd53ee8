//! Two environments side by side.

use super::{SERVE, assert_converged, project};

#[test]
fn taking_one_environment_down_leaves_its_neighbour_as_it_is() {
    let services = format!(
        "services:\n  web:\n    build: image\n    command: [sh, -c, {SERVE:?}]\n\
         \x20   volumes: [{{ name: data, path: /data, size: 10Mi }}]\n"
    );
    // The name of the one begins as the other's.
    let one = project("pair", &services);
    let other = project("pair-too", &services);
    let (first, second) = (one.running(&["up"]), other.running(&["up"]));
    first.end().assert_code(0);
    second.end().assert_code(0);
    other
        .devenv(&["exec", "web", "--", "sh", "-c", "echo kept > /data/file"])
        .assert_code(0);
    let pods = other.pods();

    one.end();

    assert_converged(&other, &["web"]);
    assert_eq!(other.pods(), pods);
    let kept = other
        .devenv(&["exec", "web", "--", "cat", "/data/file"])
        .assert_code(0);
    assert_eq!(kept.stdout, "kept\n");
    other.end();
}
