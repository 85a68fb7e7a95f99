//! What a scenario can't ask for: too much, too little, or nothing at all.

use super::*;

/// Each case with its problems.
fn check(cases: &[(&str, &[&str])]) {
    for (rest, wanted) in cases {
        assert_eq!(problems_of(rest), *wanted, "{rest}");
    }
}

/// The same for one step, which stands in column 10 of line 3, after what kiwi says.
fn check_steps(cases: &[(&str, &[&str])]) {
    for (step, wanted) in cases {
        let text = format!("steps = [\n{step},\n{KIWI}]");
        assert_eq!(problems_of(&text), *wanted, "{step}");
    }
}

#[test]
fn nobody_is_named_twice_and_somebody_is() {
    check_steps(&[
        (
            "{ at = \"1s\", partition = [\"Riley\", \"Riley\"] }",
            &["4:36 `Riley` is named twice"],
        ),
        (
            "{ at = \"1s\", sever = \"Riley\", from = [\"Juzang\", \"Juzang\"] }",
            &["4:49 `Juzang` is named twice"],
        ),
        (
            "{ at = \"1s\", skew = [\"kiwi\", \"kiwi\"], by = \"1s\" }",
            &["4:30 `kiwi` is named twice"],
        ),
        (
            "{ at = \"1s\", slow = [\"Riley-Juzang\", \"Juzang-Riley\"], latency = \"1s\" }",
            &["4:38 `Juzang-Riley` is named twice"],
        ),
        (
            "{ at = \"1s\", skew = [], by = \"1s\" }",
            &["4:21 no server is named here"],
        ),
        (
            "{ at = \"1s\", slow = [], latency = \"1s\" }",
            &["4:21 no server is named here"],
        ),
        (
            "{ at = \"1s\", partition = [], from = [] }",
            &[
                "4:26 no server is named here",
                "4:37 no server is named here",
            ],
        ),
        (
            "{ at = \"1s\", partition = [\"Riley\", \"Jaquez\", \"Juzang\", \"Campbell\", \"Bernard\", \"clients\", \"places\"] }",
            &["4:26 nobody is on the other side"],
        ),
    ]);
}

#[test]
fn a_slow_message_takes_some_time_and_another_than_before() {
    check_steps(&[
        (
            "{ at = \"1s\", slow = \"clients\", latency = \"0ms\" }",
            &["4:42 a message takes some time: a latency can't be 0s"],
        ),
        (
            "{ at = \"1s\", slow = \"Riley\", latency = \"20ms\" }",
            &["4:40 it takes 20ms then already"],
        ),
    ]);
    let back = "{ at = \"1s\", slow = \"Riley-Juzang\", latency = \"1s\" },\n\
                { at = \"2s\", slow = \"Riley\", latency = \"20ms\" },\n\
                { at = \"3s\", slow = \"Juzang\", latency = \"20ms\" }";
    check_steps(&[(back, &["6:41 it takes 20ms then already"])]);
}

const HUGE: &str = "18446744073709551615s";

#[test]
fn nothing_takes_longer_than_a_run() {
    for field in ["link_latency", "client_latency", "places_latency"] {
        let column = field.len() + 4;
        let text = format!("{field} = \"{HUGE}\"\nsteps = [{KIWI}]");
        let wanted = format!("3:{column} this latency is {HUGE}, longer than a run may last, 1h");
        assert_eq!(problems_of(&text), [wanted], "{field}");
    }
    for field in [
        "heartbeat",
        "anti_entropy",
        "connect_deadline",
        "hello_deadline",
        "redial_most",
    ] {
        let column = field.len() + 4;
        let text = format!("steps = [{KIWI}]\n[server]\n{field} = \"9223372036854775807s\"");
        let wanted =
            format!("5:{column} `{field}` is 9223372036854775807s, longer than a run may last, 1h");
        assert_eq!(problems_of(&text), [wanted], "{field}");
    }
    let many = "{ at = \"1s\", client = \"a\", clients = 10000, times = 1, to = \"Riley\", send = \"x\", every";
    let text = problems_of(&format!("steps = [\n{many} = \"{HUGE}\" }}]"));
    assert!(
        text.contains(&format!(
            "4:{} `every` is {HUGE}, longer than a run may last, 1h",
            many.len() + 4
        )),
        "{text:?}"
    );
    check(&[
        (
            &format!("latency = {{ \"Riley-Juzang\" = \"1ms..{HUGE}\" }}\nsteps = [{KIWI}]"),
            &[&format!(
                "3:30 this latency is {HUGE}, longer than a run may last, 1h"
            )],
        ),
        (
            &format!("steps = [{KIWI}]\n[[places]]\ndelay = \"{HUGE}\""),
            &[&format!(
                "5:9 this delay is {HUGE}, longer than a run may last, 1h"
            )],
        ),
    ]);
    check_steps(&[
        (
            &format!("{{ at = \"1s\", slow = \"Riley\", latency = \"{HUGE}\" }}"),
            &[&format!(
                "4:40 this latency is {HUGE}, longer than a run may last, 1h"
            )],
        ),
        (
            &format!(
                "{{ at = \"1s\", random = {{ crash = \"{HUGE}\" }}, lasts = \"3s\", holds = \"{HUGE}\" }}"
            ),
            &[
                &format!("4:33 `crash` is {HUGE}, longer than a run may last, 1h"),
                &format!("4:82 `holds` is {HUGE}, longer than a run may last, 1h"),
            ],
        ),
    ]);
}

#[test]
fn a_run_begins_while_clocks_show_ten_digits() {
    check(&[(
        &format!("epoch = \"10000000000\"\nsteps = [{KIWI}]"),
        &["3:9 the run can't begin so late, but before 10000000000, in the year 2286"],
    )]);
    good(&format!(
        "epoch = \"9999999999.999999999\"\nsteps = [{KIWI}]"
    ));
}

#[test]
fn a_timer_is_whole_ticks() {
    check(&[(
        &format!("steps = [{KIWI}]\n[server]\nanti_entropy = \"1ns\"\nheartbeat = \"2500.5us\""),
        &[
            "5:16 `anti_entropy` is 1ns, which is no multiple of the tick of 1ms",
            "6:13 `heartbeat` is 2.5005ms, which is no multiple of the tick of 1ms",
        ],
    )]);
}

#[test]
fn there_are_only_so_many_connections() {
    let step = |at: u32, name: &str, to: &str| {
        format!(
            "{{ at = \"{at}s\", client = \"{name}\", clients = 10000, to = \"{to}\", send = \"x\", reply = \"? x\" }}"
        )
    };
    let load = "{ at = \"1s\", workload = \"w\", clients = 9, rate = 10000, lasts = \"1s\" }";
    check(&[
        (
            &format!("steps = [{}]", step(1, "a", "all")),
            &[
                "3:10 with earlier steps these are 50000 connections, but a run can have up to 40000",
            ],
        ),
        (
            &format!(
                "steps = [{},\n{}]",
                step(1, "a", "Riley"),
                step(2, "b", "Riley")
            ),
            &[
                "4:1 with earlier steps these are 20000 connections to `Riley`, but one server can have up to 16384",
            ],
        ),
        (
            &format!(
                "steps = [{load},\n{},\n{},\n{},\n{}]",
                step(1, "a", "Riley"),
                step(2, "b", "Jaquez"),
                step(3, "c", "Juzang"),
                step(4, "d", "Bernard")
            ),
            &["7:1 with earlier steps these are 50000 connections, but a run can have up to 40000"],
        ),
    ]);
}

#[test]
fn a_server_does_not_dial_more_often_than_it_has_ports() {
    let rest = "steps = [{ at = \"1s\", crash = \"Juzang\" }, { at = \"100s\", restart = \"Juzang\" }]\n\
         [server]\nredial_least = \"1ms\"\nredial_most = ";
    check(&[(
        &format!("{rest}\"5ms\""),
        &["6:15 a server could dial 96000 times in this run, but 40000 are the most"],
    )]);
    good(&format!("{rest}\"20ms\""));
}

#[test]
fn random_faults_are_not_too_many() {
    check_steps(&[(
        "{ at = \"1s\", random = { crash = \"2ms\", sever = \"1ms\" }, lasts = \"1s\", holds = \"1ms\" }",
        &["4:23 these are about 1500 faults, and 1000 are the most"],
    )]);
}

#[test]
fn a_clock_is_somebody_s_and_is_wrong_before_it_is_right() {
    check_steps(&[
        (
            "{ at = \"1s\", skew = [\"Rilye\", \"kwi\"], by = \"1s\" }",
            &[
                "4:22 unknown server or client `Rilye`",
                "4:31 unknown server or client `kwi`",
            ],
        ),
        (
            "{ at = \"1s\", skew = [\"Riley\", \"kiwi\"], by = \"0s\" }",
            &[
                "4:22 nothing is wrong with the clock of `Riley` then",
                "4:31 nothing is wrong with the clock of `kiwi` then",
            ],
        ),
        (
            "{ at = \"1s\", skew = \"all\", by = \"0s\" }",
            &["4:21 no server's clock is wrong then"],
        ),
        (
            "{ at = \"1s\", skew = \"kiwi-1\", by = \"1s\" }",
            &["4:21 unknown server or client `kiwi-1`"],
        ),
    ]);
}

#[test]
fn a_wrong_clock_of_all_or_of_a_group_is_that_of_each() {
    let scenario = good(
        "steps = [{ at = \"1s\", skew = [\"kiwi\", \"load-2\"], by = \"1s\" }, { at = \"1s\", skew = \"all\", by = \"1s\" },\n\
         { at = \"2s\", client = \"kiwi\", clients = 2, to = \"Riley\", send = \"x\", reply = \"? x\" },\n\
         { at = \"2s\", workload = \"load\", clients = 2, rate = 1, lasts = \"1s\" },\n\
         { at = \"3s\", skew = \"Riley\", by = \"0s\" }, { at = \"3s\", skew = \"all\", by = \"0s\" }, { at = \"3s\", skew = \"kiwi-2\", by = \"0s\" }]",
    );
    let told: Vec<String> = (scenario.steps.iter())
        .filter(|step| matches!(&step.action, Action::Begin(fault) if fault.kind.name == "skew"))
        .map(|step| step.to_toml(&scenario.herd))
        .collect();
    let wanted = [
        r#"{ at = "1s", skew = ["kiwi-1", "kiwi-2", "load-2"], by = "+1s" }"#,
        r#"{ at = "1s", skew = ["Riley", "Jaquez", "Juzang", "Campbell", "Bernard"], by = "+1s" }"#,
        r#"{ at = "3s", skew = "Riley", by = "0s" }"#,
        r#"{ at = "3s", skew = ["Jaquez", "Juzang", "Campbell", "Bernard"], by = "0s" }"#,
        r#"{ at = "3s", skew = "kiwi-2", by = "0s" }"#,
    ];
    assert_eq!(told, wanted);
}

#[test]
fn what_is_cut_has_a_middle() {
    for (rest, wanted) in [
        ("body = \"\"", "there is no body to end in the middle of"),
        (
            "status = 304\nplaces = 1",
            "an answer with status 304 has no body to end in the middle of",
        ),
    ] {
        let text = format!("steps = [{KIWI}]\n[[places]]\nfault = \"cut\"\n{rest}");
        assert_eq!(problems_of(&text), [format!("5:9 {wanted}")]);
    }
}

/// The whole text of the problems.
fn text_of(rest: &str) -> String {
    parse(&format!("{HEAD}{rest}")).unwrap_err().to_string()
}

#[test]
fn problems_say_what_to_do() {
    check_steps(&[
        (
            "{ at = \"1s\", sever = \"Riley-Rily\" }",
            &["4:29 unknown server `Rily`"],
        ),
        (
            "{ at = \"1s\", sever = \"Riley-Riley\" }",
            &["4:22 `Riley` is linked to itself"],
        ),
        (
            "{ at = \"1s\", skew = \"kiwi\", by = \"3\" }",
            &["4:34 bad difference `3`: a duration needs a unit: one of ns, us, ms, s, m, h"],
        ),
        (
            "{ at = \"1s\", freeze = \"Riley\" }, { at = \"1s\", crash = \"Riley\" }, { at = \"1s\", thaw = \"Riley\" }",
            &["4:86 `Riley` can't `thaw`: the `freeze` is over"],
        ),
    ]);
    let cases = [
        (
            "steps = [{ at = \"1s\", partition = \"Riley-Juzang\" }, { at = \"1s\", partition_oneway = \"Juzang-Bernard\" }, { at = \"2s\", heal = \"Riley-Jaquez\" }]"
                .to_owned(),
            "what is cut then is between `Riley` and `Juzang`, from `Juzang` to `Bernard`",
        ),
        (
            format!("epoch = 1621464827\nsteps = [{KIWI}]"),
            "write it in quotes",
        ),
        (
            format!("steps = [{KIWI}]\n[[expect]]\nlink = \"all\"\nis = \"synched\""),
            "unknown `synched`: one of `down`, `up`, `synchronised`",
        ),
        (
            format!("steps = [{KIWI}]\n[[places]]\nfault = \"clos\""),
            "did you mean `close`?",
        ),
        (
            format!("steps = [{KIWI}]\n[[expect]]\nupdate = \"kiwi\"\npath = {{ Bernard = \"Riley-Bernard\", Rily = [] }}"),
            "`Riley` is linked to `Jaquez`, `Juzang`",
        ),
        (
            "steps = [{ at = \"1s\", workload = \"load\", clients = 5, rate = 9, lasts = \"1s\" }]\n[[expect]]\nupdate = \"load-3\"\nreaches = \"all\""
                .to_owned(),
            "expect of the whole workload `workload = \"load\"`, `no_lost_updates = true`",
        ),
        (
            format!("tick = \"1ms\"\nend = \"1.5us\"\nsteps = [{KIWI}]"),
            "choose whole milliseconds: no `tick` is finer",
        ),
    ];
    for (rest, wanted) in cases {
        let text = text_of(&rest);
        assert!(text.contains(wanted), "{text}");
    }
}
