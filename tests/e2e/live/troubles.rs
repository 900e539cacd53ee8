//! Containers that take no files, services that nobody brought up, and secrets in a service's last words.

use super::scene::{RESTART, SYNC, Scene, manifest};

/// Nothing can be written below `/sys`.
const IMPOSSIBLE: &str = "{ sync: [src:/app/src, extra:/sys/extra], onChange: none }";
const SECRET: &str = "hunter2-and-more";

#[test]
fn what_takes_no_files_is_told_once_an_edit_and_runs_as_its_image_has_it() {
    let services = manifest(IMPOSSIBLE, RESTART);
    let greeter = "  greeter:\n    secrets: [secrets.env]\n";
    let mut scene = Scene::new("live-troubles", &services.replace("  greeter:\n", greeter));
    scene.project.write("page/extra/file", "extra");
    scene
        .project
        .write("secrets.env", &format!("WORDS={SECRET}\n"));
    scene.project.devenv(&["up", "page"]).assert_code(0);
    scene.attach_again();
    a_place_that_takes_no_files_is_named(&mut scene);
    a_manifest_that_changes_brings_up_no_others(&mut scene);
    the_last_words_of_a_service_give_no_secret_away(&mut scene);
    let stop = ["stop", "--persist-data"];
    let stopped = scene.project.devenv(&stop).assert_code(0);
    stopped.assert_says(&["all data is on the disk"]);
    scene.end();
}

fn a_place_that_takes_no_files_is_named(scene: &mut Scene) {
    let is_refused =
        |event: &serde_json::Value| event["failures"][0].to_string().contains("/sys/extra");
    scene.until_told("failed", is_refused);
    assert_eq!(scene.answer("page").as_deref(), Some("from the image"));
    let status = scene.project.devenv(&["session", "status"]).assert_code(0);
    status.assert_says(&["page", "cannot be given its files"]);
    scene.write("page", "not there either");
    scene.until("it is told again", |scene| {
        scene
            .events("failed")
            .iter()
            .filter(|one| is_refused(one))
            .count()
            == 2
    });
}

fn a_manifest_that_changes_brings_up_no_others(scene: &mut Scene) {
    let manifest = scene.project.read("devenv.yaml");
    let mended = manifest
        .replace(IMPOSSIBLE, SYNC)
        .replace("  page:\n", "  page:\n    env: { COLOUR: red }\n");
    scene.project.write("devenv.yaml", &mended);
    scene.until_told("done", |event| event["change"]["action"] == "redeploy");
    assert_eq!(scene.exec("page", &["printenv", "COLOUR"]), "red\n");
    let names = ["get", "deployments", "-o", "name"];
    let deployments = scene.project.kubectl(&names).assert_code(0);
    assert_eq!(deployments.stdout, "deployment.apps/page\n");
    scene.write("page", "there now");
    scene.until_answers("page", "there now");
    assert_eq!(scene.events("failed").len(), 2, "{}", scene.said());
}

fn the_last_words_of_a_service_give_no_secret_away(scene: &mut Scene) {
    scene.project.devenv(&["up"]).assert_code(0);
    scene.write("greeter", &format!("bad {SECRET}"));
    let told = scene.until_told("failed", |event| event["service"] == "greeter");
    let words = told["failures"][0]["evidence"].to_string();
    assert!(words.contains("cannot greet with bad [redacted]"), "{told}");
    let kept = scene.project.state().join("live.jsonl");
    let kept = std::fs::read_to_string(kept).unwrap();
    assert!(kept.contains("cannot greet with") && !kept.contains(SECRET));
}
