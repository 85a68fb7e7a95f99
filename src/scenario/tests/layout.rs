//! Changed scenarios in the layout of their files.

use super::*;

const COMMENTED: &str = "# What it is about.
title = \"a\" # short
herd  = \"riley\"

# All of it.
steps = [
  # The one that matters.
  { at = \"1s\",  client = \"kiwi\", to = \"Riley\",
    send = \"IAMAT kiwi +34.068930-118.445127 {now}\" },
  # A bystander.
  { at = \"2s\", crash = \"Juzang\" },
  # It comes back.
  { at = \"3s\", restart = \"Juzang\" },
]

# Everybody knows.
[[expect]]
update  = \"kiwi\"
reaches = \"all\"

# And the last one, too.
[[expect]]
server = \"Juzang\"
holds  = \"kiwi\" # by synchronisation
";

fn commented() -> Scenario {
    parse(COMMENTED).unwrap().0
}

#[test]
fn what_did_not_change_keeps_its_text() {
    let scenario = commented();
    assert_eq!(scenario.to_toml_in_layout_of(&scenario), COMMENTED);
}

#[test]
fn what_goes_takes_its_comments_with_it_and_no_others() {
    let mut fewer = commented();
    fewer.steps.remove(1);
    fewer.steps.remove(1);
    fewer.expects.remove(0);
    fewer.expects.remove(0);
    assert_eq!(
        fewer.to_toml_in_layout_of(&commented()),
        "# What it is about.
title = \"a\" # short
herd  = \"riley\"

# All of it.
steps = [
  # The one that matters.
  { at = \"1s\",  client = \"kiwi\", to = \"Riley\",
    send = \"IAMAT kiwi +34.068930-118.445127 {now}\" },
]
"
    );
}

#[test]
fn what_changes_keeps_the_comments_before_it() {
    let mut later = commented();
    later.steps[2].at = Duration::from_secs(4);
    later.title = "b".to_owned();
    later.about = Some("c".to_owned());
    let text = later.to_toml_in_layout_of(&commented());
    let head = "# What it is about.\ntitle = \"b\" # short\nabout = \"c\"\nherd  = \"riley\"\n";
    assert!(text.starts_with(head), "{text}");
    let back = "  # It comes back.\n  { at = \"4s\", restart = \"Juzang\" },\n]";
    assert!(text.contains(back), "{text}");
    assert!(
        text.ends_with(COMMENTED.split_once("# Everybody").unwrap().1),
        "{text}"
    );
}

#[test]
fn what_was_drawn_is_written_plainly() {
    let (chaos, _) = parse(
        "title = \"a\"\nherd = \"riley\"\n# Chaos.\nsteps = [{ at = \"1s\", random = { crash = \"100ms\" }, \
         lasts = \"1s\", holds = \"100ms\" }]\n",
    )
    .unwrap();
    let plain = chaos.swarmed().plain();
    let text = plain.to_toml_in_layout_of(&chaos);
    let (read, _) = parse(&text).unwrap();
    assert_eq!(read.to_toml(), plain.to_toml());
    // Its faults are written, and its order of tasks still follows from the seed.
    assert!(read.shuffle && !read.swarm, "{text}");
    assert!(text.contains("# Chaos.\n"), "{text}");
}

#[test]
fn each_shipped_scenario_is_written_as_its_file_says_it() {
    let mut files = vec![std::path::PathBuf::from("scenarios")];
    let mut compared = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            let inside = std::fs::read_dir(&path).unwrap();
            files.extend(inside.map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|end| end == "toml")
            && path
                .parent()
                .is_none_or(|folder| !folder.ends_with("herds"))
        {
            // A case is written as a file of its own.
            if !Scenario::cases(&path).is_empty() {
                continue;
            }
            let (scenario, _) = Scenario::load(&path).unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            // Other files are found from the place of the scenario, so their names are not kept.
            if scenario.herd.is_builtin() && !text.contains("\nfile ") {
                assert_eq!(scenario.to_toml_in_layout_of(&scenario), text, "{path:?}");
                compared += 1;
            }
        }
    }
    assert!(compared > 30, "{compared}");
}
