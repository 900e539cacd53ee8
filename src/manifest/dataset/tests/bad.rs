//! Bad datasets: each fixture with the list of what is said about it.

use super::{bad, environment, project};
use crate::manifest::{
    dataset::load,
    testing::{keep_up_to_date, render},
};

macro_rules! bad_datasets {
    ($($test:ident, $file:literal;)*) => {$(
        #[test]
        fn $test() {
            let text = include_str!(concat!("../../../../tests/fixtures/datasets/bad/", $file, ".yaml"));
            let expected = concat!("tests/fixtures/datasets/bad/", $file, ".expected");
            keep_up_to_date(expected, &bad(&project(text), "limit"));
        }
    )*};
}

bad_datasets! {
    a_dataset_has_one_base_at_most, "bases";
    a_dataset_that_says_nothing_is_refused, "empty";
    a_step_is_of_one_kind_and_has_its_keys_alone, "steps";
    a_variable_that_is_defined_is_used, "unused";
    a_variable_that_is_used_is_defined, "variables";
    an_open_bracket_is_a_syntax_error, "unclosed";
    files_must_be_there_and_stay_inside, "files";
    services_must_be_there_and_have_what_is_needed, "services";
    unknown_keys_and_wrong_types_are_all_reported_at_once, "keys";
    values_are_what_their_keys_want, "values";
}

#[test]
fn a_service_that_a_profile_leaves_out_is_not_called_unknown() {
    let text =
        "steps:\n  - { service: redis, command: [ls] }\n  - { service: rediss, command: [ls] }\n";
    let files = project(text)
        .file("profiles/small.yaml", "only: [postgres]\n")
        .file("profiles/other.yaml", "description: Another.\n");
    let said = |profiles: &[&str]| {
        let environment = environment(&files, profiles);
        render(&load(&"limit".parse().unwrap(), &environment, &files).unwrap_err())
    };
    let one = said(&["small"]);
    assert!(
        one.starts_with(
            "datasets/limit/dataset.yaml:2:16 dataset.service-left-out `steps[0].service` names a service that \
             the profile `small` leaves out: `redis`\n  add `redis` to the profile's `only`"
        ),
        "{one}"
    );
    assert!(one.contains("3:16 manifest.unknown-service"), "{one}");
    let two = said(&["small", "other"]);
    assert!(
        two.contains("that the profiles leave out: `redis`"),
        "{two}"
    );
}

#[test]
fn a_template_is_looked_into_once_wherever_it_lies() {
    let text = "variables: { customer: ann }\nsteps:\n\
                \x20 - { service: inventory, files: images, to: /data/a, template: true }\n\
                \x20 - { service: inventory, files: images/more/b.png, to: /data/b, template: true }\n";
    let files = project(text)
        .file("datasets/limit/images/more/b.png", "${custmer}")
        .file("datasets/limit/images/c.png", "${customer}");
    assert_eq!(
        bad(&files, "limit"),
        "datasets/limit/images/more/b.png:1:1 dataset.unknown-variable `${custmer}` is not a variable of the dataset\n  \
         did you mean `customer`?\n  variables: `customer`\n"
    );
}

#[test]
fn a_variable_is_not_called_unused_where_a_template_could_not_be_read() {
    let text = "variables: { customer: ann }\n\
                steps: [{ service: redis, redis: binary.redis, template: true }]\n";
    let said = bad(&project(text), "limit");
    assert!(
        said.contains("dataset.file") && !said.contains("unused"),
        "{said}"
    );
}
