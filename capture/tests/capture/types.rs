//! Keys of all types, large ones, JSON.

use xtask::servers::{Redis, capture_module, rejson_module};

use crate::support::{Server, text};

#[test]
fn sets_sorted_sets_and_strings() {
    let mut server = Server::start();
    server.run("WB.TRACK t t:* BEFORE");
    assert_eq!(
        server.records_of(
            "t",
            &[
                "SADD t:s a b",
                "SADD t:i 1 2 3",
                "SREM t:s a",
                "SPOP t:s",
                "ZADD t:z 1 a -2.5 b inf c 1e300 d",
                "ZINCRBY t:z 0.1 a",
                "DEL t:z",
                "APPEND t:x abc",
                "SETRANGE t:x 1 z",
                "SET t:x def",
                "GETDEL t:x",
                "SADD t:s a",
                "SUNIONSTORE t:s t:i nothing",
                "SINTERSTORE t:s t:i nothing",
            ]
        ),
        [
            "c sadd t:s set{a b}",
            "c sadd t:i set{1 2 3}",
            "u srem t:s set{b}",
            "d del t:s set",
            &format!("c zadd t:z sorted_set{{a=1 b=-2.5 c=inf d={}}}", 1e300),
            &format!("u zincr t:z sorted_set{{a=1.1 b=-2.5 c=inf d={}}}", 1e300),
            &format!("d del t:z sorted_set was sorted_set{{a=1.1 b=-2.5 c=inf d={}}}", 1e300),
            "c new t:x string",
            "u set t:x string",
            "d del t:x string",
            "c sadd t:s set{a}",
            "u sunionstore t:s set{1 2 3} was set{a}",
            "d del t:s set was set{1 2 3}",
        ]
    );
}

// No job reads strings, and to read one as bytes would make Redis keep it as such.
#[test]
fn a_string_has_no_image_and_keeps_its_encoding() {
    let mut server = Server::start();
    server.run("WB.TRACK t t:* BEFORE");
    let records = server.records_of("t", &["SET t:x 5", "SET t:x 6", "HSET t:y a 1", "SET t:y 7", "SET t:z abc"]);
    let expected = ["c new t:x string", "u set t:x string", "c hset t:y hash{a=1}", "u set t:y string was hash{a=1}"];
    assert_eq!(records[..4], expected);
    assert_eq!(text(&server.run("OBJECT ENCODING t:x")), "int");
    assert_eq!(text(&server.run("OBJECT ENCODING t:y")), "int");
    assert_eq!(text(&server.run("OBJECT ENCODING t:z")), "embstr");
}

#[test]
fn a_type_that_has_no_image_is_thin() {
    let mut server = Server::start();
    server.run("WB.TRACK t t:* BEFORE");
    assert_eq!(
        server.records_of("t", &["HSET t:1 a 1", "RPUSH l x", "RENAME l t:1", "LPOP t:1"]),
        ["c hset t:1 hash{a=1}", "u rename_to t:1 thin was hash{a=1}", "d del t:1"]
    );
}

#[test]
fn large_hashes_have_each_field_once() {
    let mut server = Server::start();
    server.run("WB.TRACK t t:* BEFORE");
    // In steps, so that the hash grows, is rehashed meanwhile and shrinks again.
    for field in 0..3_000 {
        server.run(&format!("HSET other f{field} {field}"));
    }
    server.run("RENAME other t:1");
    for field in 1..2_990 {
        server.run(&format!("HDEL t:1 f{field}"));
    }
    for (_, entry) in server.entries("wb:{0}:t") {
        let record = redis_wb_record::decode(&entry).unwrap();
        let Some(redis_wb_record::Image::Hash(pairs)) = record.after else { panic!("a hash") };
        let mut names: Vec<_> = pairs.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), pairs.len());
        assert!(pairs.iter().all(|(name, value)| name[1..] == *value));
    }
    assert_eq!(server.folded("t"), server.keyspace("t:*"));
}

#[test]
fn what_is_larger_than_an_image_may_be_is_thin() {
    let module = capture_module();
    let module = module.to_string_lossy();
    let arguments = ["--loadmodule", &module, "image-bytes-max", "64"];
    let mut server = Server::of(Redis::start_bare(&arguments));
    assert_eq!(server.info("wb_image_bytes_max"), "64");
    server.run("WB.TRACK t t:* BEFORE");
    let long = "x".repeat(65);
    let many: String = (0..40).map(|member| format!(" {member}")).collect();
    assert_eq!(
        server.records_of(
            "t",
            &[
                "HSET t:1 a 1",
                &format!("HSET t:1 a {long}"),
                "DEL t:1",
                &format!("SET t:2 {long}"),
                &format!("SADD t:3{many}"),
                &format!("SET t:2 {}", &long[1..]),
            ]
        ),
        [
            "c hset t:1 hash{a=1}",
            "u hset t:1 hash thin",
            "d del t:1 hash",
            "c new t:2 string",
            "c sadd t:3 set thin",
            "u set t:2 string",
        ]
    );
    assert_eq!(server.info("wb_thin"), "2");
    let error = Redis::try_start(None, &["--loadmodule", &module, "image-bytes", "64"]).unwrap_err();
    assert!(error.to_string().contains("unknown argument `image-bytes`"), "{error}");
}

#[test]
fn json_documents() {
    let rejson = rejson_module();
    let mut server = Server::start_with(&["--loadmodule", &rejson.to_string_lossy()]);
    server.run_all(&["WB.TRACK t t:* BEFORE", "WB.TRACK quiet t:* EXCLUDE json.del"]);
    assert_eq!(
        server.records_of(
            "t",
            &[
                r#"JSON.SET t:1 $ {"a":1,"b":[1,2]}"#,
                "JSON.NUMINCRBY t:1 $.a 1",
                "JSON.DEL t:1 $.b",
                r#"JSON.SET t:1 $ {"a":9}"#,
                "JSON.DEL t:1",
                r#"JSON.SET t:2 $ [1]"#,
                "DEL t:2",
                "HSET t:3 a 1",
                "DEL t:3",
                r#"JSON.SET t:3 $ "x""#,
                "SET t:3 y",
            ]
        ),
        [
            r#"c json.set t:1 {"a":1,"b":[1,2]}"#,
            r#"u json.numincrby t:1 {"a":2,"b":[1,2]}"#,
            r#"u json.del t:1 {"a":2}"#,
            r#"u json.set t:1 {"a":9}"#,
            r#"d json.del t:1 json was {"a":9}"#,
            r#"c json.set t:2 [1]"#,
            r#"d del t:2 json was [1]"#,
            "c hset t:3 hash{a=1}",
            "d del t:3 hash was hash{a=1}",
            r#"c json.set t:3 "x""#,
            r#"u set t:3 string was "x""#,
        ]
    );
    let quiet = server.records("quiet");
    assert!(quiet.iter().all(|record| !record.contains("json.del")), "{quiet:?}");
}

/// How often a document was written as text.
fn times_written(server: &mut Server) -> usize {
    let all = text(&server.run("INFO commandstats"));
    let line = all.lines().find(|line| line.to_lowercase().starts_with("cmdstat_json.get:"));
    line.map_or(0, |line| line.split(['=', ',']).nth(1).unwrap().parse().unwrap())
}

/// To write a large document as text takes long. That it is still too large for an image is found out without.
#[test]
fn a_document_that_is_too_large_is_not_written_as_text_at_each_change() {
    let mut server = Server::start_with(&["--loadmodule", &rejson_module().to_string_lossy()]);
    server.run("WB.TRACK t t:* BEFORE");
    let set = |server: &mut Server, key: &str| {
        let document = format!("[{}7]", "1234567,".repeat(200_000));
        server.send(&[b"JSON.SET", key.as_bytes(), b"$", document.as_bytes()]);
    };
    let kinds = |server: &mut Server| -> Vec<String> {
        let records = server.records("t");
        server.run("XTRIM wb:{0}:t MAXLEN 0");
        records.iter().map(|record| record.split(' ').skip(3).collect::<Vec<_>>().join(" ")).collect()
    };
    set(&mut server, "t:1");
    (0..98).for_each(|_| drop(server.run("JSON.SET t:1 $[0] 1")));
    assert_eq!((times_written(&mut server), kinds(&mut server)), (1, vec!["json thin".to_owned(); 99]));
    // Whether it has shrunk meanwhile is looked at every hundredth time.
    server.run("JSON.ARRTRIM t:1 $ 0 999");
    assert_eq!(times_written(&mut server), 1);
    server.run("JSON.ARRTRIM t:1 $ 0 998");
    assert_eq!(times_written(&mut server), 2);
    let records = kinds(&mut server);
    assert!(records[0] == "json thin" && records[1].starts_with("[1,1234567"), "{records:?}");
    // One that has become small is seen at once, and so is what one that was too large held last.
    set(&mut server, "t:2");
    server.run_all(&["JSON.SET t:2 $ [1,2]", "JSON.SET t:2 $[0] 3"]);
    assert_eq!(kinds(&mut server), ["json thin", "[1,2]", "[3,2]"]);
    set(&mut server, "t:3");
    server.run_all(&["JSON.ARRTRIM t:3 $ 0 999", "DEL t:3"]);
    let records = kinds(&mut server);
    assert!(records[1] == "json thin" && records[2].starts_with("json was [1234567"), "{records:?}");
}

/// Nor to find out that what it held last is too large, where that can be told by few of its values.
#[test]
fn a_document_that_goes_and_is_surely_too_large_is_not_written_as_text() {
    let mut server = Server::start_with(&["--loadmodule", &rejson_module().to_string_lossy()]);
    let long = "x".repeat(1024 * 1024 + 1);
    let items = |count: usize| format!("[{}1]", "1,".repeat(count));
    let surely = [
        format!("\"{long}\""),
        format!(r#"{{"a":{{"b":["{long}"]}}}}"#),
        items(600_000),
        format!(r#"{{"a":{}}}"#, items(600_000)),
    ];
    for (at, document) in surely.iter().enumerate() {
        server.send(&[b"JSON.SET", format!("t:{at}").as_bytes(), b"$", document.as_bytes()]);
    }
    let small = format!(r#"{{"a":"{}"}}"#, &long[1_000..]);
    server.send(&[b"JSON.SET", b"t:small", b"$", small.as_bytes()]);
    server.run("WB.TRACK t t:* BEFORE");
    server.run_all(&["DEL t:0", "UNLINK t:1", "SET t:2 x", "PEXPIRE t:3 0"]);
    assert_eq!(times_written(&mut server), 0);
    server.run("DEL t:small");
    assert_eq!(times_written(&mut server), 1);
    let records = server.records("t");
    assert_eq!(records[..4], ["d del t:0 json", "d del t:1 json", "u set t:2 string", "d del t:3 json"]);
    assert!(records[4].starts_with(r#"d del t:small json was {"a":"xxx"#));
}
