//! Bad manifests: each fixture with the list of what is said about it.

use crate::manifest::testing::{MemoryFiles, keep_up_to_date, render};

/// What most bad manifests name, so that each shows its own mistakes.
fn project(manifest: &str) -> MemoryFiles {
    MemoryFiles::with_manifest(manifest)
        .file("services/none/Dockerfile", "")
        .file("services/order/Dockerfile", "")
}

macro_rules! bad_manifests {
    ($($test:ident, $file:literal;)*) => {$(
        #[test]
        fn $test() {
            let text = include_str!(concat!("../../../tests/fixtures/manifests/bad/", $file, ".yaml"));
            let failures = project(text).load().unwrap_err();
            let expected = concat!("tests/fixtures/manifests/bad/", $file, ".expected");
            keep_up_to_date(expected, &render(&failures));
        }
    )*};
}

bad_manifests! {
    a_bad_value_behind_an_anchor_is_reported_once_where_it_is_written, "merged-anchors";
    a_byte_order_mark_and_crlf_do_not_move_places, "bom-and-crlf";
    a_manifest_of_the_tool_of_the_same_name_is_told_apart, "other-tool";
    a_second_document_is_refused, "two-documents";
    an_alias_without_anchor_is_a_syntax_error, "anchors";
    an_empty_manifest_says_what_writes_one, "empty";
    an_open_bracket_is_a_syntax_error, "unclosed";
    anything_but_a_map_is_refused, "text";
    duplicate_keys_do_not_hide_other_mistakes, "duplicates";
    formats_of_requirements_names_and_images_are_checked, "requirements";
    live_and_debug_must_fit_together, "live";
    paths_must_be_there_and_stay_inside, "paths";
    services_are_made_of_exactly_one_thing, "sources";
    services_that_do_not_exist_or_go_in_circles_are_named, "references";
    tabs_are_explained, "tabs";
    tags_and_keys_that_are_not_texts_are_refused, "tags";
    unknown_keys_and_wrong_values_are_all_reported_at_once, "keys";
    what_a_workload_says_must_fit_together, "workloads";
}
