use proptest::prelude::*;

use super::*;

/// A red dot of 5 by 5 pixels.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8/w38GIAXDIBKE0DHxgljNBAAO9TXL0Y4OHwAAAABJRU5ErkJggg==";

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const OF_URLS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn encode(data: &[u8], alphabet: &[u8; 64], padded: bool) -> String {
    let mut text = String::new();
    for chunk in data.chunks(3) {
        let mut bits = 0_u32;
        for place in 0..3 {
            bits = bits << 8 | u32::from(chunk.get(place).copied().unwrap_or_default());
        }
        for place in 0..=chunk.len() {
            text.push(char::from(alphabet[(bits >> (18 - 6 * place)) as usize & 63]));
        }
        if padded {
            text.push_str(&"="[..].repeat(3 - chunk.len()));
        }
    }
    text
}

fn wrapped(text: &str, width: usize, line_break: &str) -> String {
    let lines: Vec<_> =
        text.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
    lines.join(line_break)
}

fn hex(data: &[u8]) -> String {
    data.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn images_documents_and_texts_are_found_where_they_stand() {
    assert_eq!(without_base64(PNG).as_deref(), Some(BASE64_REMOVED));
    assert_eq!(
        without_base64(&format!("sent {PNG} and {PNG}.")).as_deref(),
        Some("sent [BASE64 DATA REMOVED] and [BASE64 DATA REMOVED].")
    );
    assert_eq!(
        without_base64(&format!("<img src=\"data:image/png;base64,{PNG}\">")).as_deref(),
        Some("<img src=\"[BASE64 DATA REMOVED]\">")
    );
    let long = "The quick brown fox jumps over the lazy dog; ".repeat(4);
    let json =
        r#"{"id":4711,"name":"alice","roles":["admin","ops"],"created":"2026-01-31T12:00:00Z"}"#;
    let utf16: Vec<u8> = long.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let floats: Vec<u8> = (0..60_u16).flat_map(|n| (f32::from(n) / 10.0).to_le_bytes()).collect();
    for data in [
        long.as_bytes(),
        json.as_bytes(),
        &utf16,
        &floats,
        "Съешь же ещё этих мягких французских булок, да выпей чаю".as_bytes(),
    ] {
        let text = encode(data, STANDARD, true);
        assert_eq!(without_base64(&text).as_deref(), Some(BASE64_REMOVED), "{text}");
    }
}

#[test]
fn short_base64_stays_and_a_data_uri_says_what_it_is() {
    assert_eq!(without_base64(&PNG[..99]), None);
    let zeros = "A".repeat(200);
    assert_eq!(without_base64(&zeros), None);
    assert_eq!(
        without_base64(&format!("data:application/octet-stream;base64,{zeros}")).as_deref(),
        Some(BASE64_REMOVED)
    );
    assert_eq!(without_base64(&format!("data: base64,{zeros}")), None);
    assert_eq!(without_base64("data:image/png;base64,iVBORw0KGgo="), None);
}

#[test]
fn data_next_to_a_path_or_a_name_is_separated_from_it() {
    let data: Vec<u8> = (0..200_u8).map(|n| n.wrapping_mul(167) ^ n >> 3).collect();
    let (standard, of_urls) = (encode(&data, STANDARD, false), encode(&data, OF_URLS, false));
    assert_eq!(
        without_base64(&format!("https://shop.example/share/{of_urls}?x=1")).as_deref(),
        Some("https://shop.example/share/[BASE64 DATA REMOVED]?x=1")
    );
    assert_eq!(
        without_base64(&format!("blob_{standard}")).as_deref(),
        Some("blob_[BASE64 DATA REMOVED]")
    );
    let certificate = wrapped(&standard, 64, "\n");
    assert_eq!(
        without_base64(&format!("-----BEGIN X-----\n{certificate}\n-----END X-----")).as_deref(),
        Some("-----BEGIN X-----\n[BASE64 DATA REMOVED]\n-----END X-----")
    );
}

#[test]
fn what_only_looks_like_base64_stays() {
    let sha512 = "ee26b0dd4af7e749aa1a8ee3c10ae9923f618980772e473f8819a5d4940e0db27ac185f8a0e1d5f84f88bc887fd67b143732c304cc5fa9ad8e6f57f50028a8ff";
    let uuid = "6f9619ff-8b86-d011-b42d-00cf4fc964ff";
    for text in [
        sha512.to_owned(),
        sha512.to_uppercase(),
        format!("SHA512-{sha512}"),
        format!("{}_{}", sha512.to_uppercase(), sha512),
        format!("{sha512}{sha512}{sha512}"),
        [uuid; 5].join("-"),
        [uuid; 5].join("_").to_uppercase(),
        "A".repeat(5000),
        "Ab1".to_owned() + &"x".repeat(300),
        "31415926535897932384626433832795028841971693993751058209749445923078164062862089986280348253421170679".to_owned(),
        "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiYWRtaW4iOnRydWUsImlhdCI6MTUxNjIzOTAyMiwiZW1haWwiOiJqb2huQGV4YW1wbGUuY29tIn0.NHVaYe26MbtOYhSKkoKYdFVomg4i8ZJd8_-RU8VNbftc4TSMb4bXP3l3YlNWACwyXPGffz5aXHc6lty1Y2t4SWRqGteragsVdZufDn5BlnJl9pdR_kdVFUsra2rWKEofkZeIC4yWytE58sMIihvo9H1ScmmVwBcQP6XETqYd0aSHp1gOa9RdUPDvoXQ5oqygTqVtxaDr6wUFKrKItgBMzWIdNZ6y7O9E0DhEPTbE9rfBo6KTFsHAZnMg4k68CDp2woYIaXbmYTWcvbzIuHO7_37GT79XdIwkm95QJ7hYC9RiwrV7mesbY4PAahERJawntho0my942XheVLmGwLMBkQ".to_owned(),
        "/Users/JohnDoe/Projects/MyApp2/src/main/java/com/Example/Service/Impl/UserAccountServiceImpl/Handlers/GetById".to_owned(),
        "getUserAccountByIdAndStatusV2".repeat(4),
        "handleGetHttpResponseForV2ApiRequestWithIdAndUrlOfTheS3BucketInEuWest1RegionUsingAwsSdkForJavaScriptOnArm64Machines".to_owned(),
        "AbstractSingletonProxyFactoryBeanDefinitionRegistryPostProcessorAdapterConfigurationInitializerContext2".to_owned(),
        "this-is-a-very-long-slug-of-an-article-2026-about-how-to-write-a-url-that-nobody-will-ever-type-by-hand-again".to_owned(),
        "CONSTANT_NAMES_CAN_BE_LONG_TOO_AND_HAVE_DIGITS_LIKE_UTF_8_AND_ISO_8859_1_AND_MANY_MORE_OF_THEM_THAN_ONE_WOULD_THINK".to_owned(),
        "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz ".repeat(3),
        "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\neleven\ntwelve\nthirteen\nfourteen\nfifteen\nsixteen".to_owned(),
        "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/k8s-shop-ingress-0f3a9b7c1d/50dc6c495c0c9188".to_owned(),
    ] {
        assert_eq!(without_base64(&text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn random_bytes_are_found_in_every_form(
        data in proptest::collection::vec(any::<u8>(), 200..600),
        of_urls in any::<bool>(),
        padded in any::<bool>(),
        width in prop_oneof![Just(usize::MAX), Just(60_usize), Just(64), Just(76)],
        line_break in prop_oneof![Just("\n"), Just("\r\n"), Just("\n  ")],
    ) {
        let text = encode(&data, if of_urls { OF_URLS } else { STANDARD }, padded);
        let text = wrapped(&text, width, line_break);
        let around = format!("before {text} behind");
        prop_assert_eq!(without_base64(&around).unwrap(), "before [BASE64 DATA REMOVED] behind");
    }

    #[test]
    fn hex_is_never_found(data in proptest::collection::vec(any::<u8>(), 0..400), mixed in any::<u64>()) {
        let digits = hex(&data);
        prop_assert_eq!(without_base64(&digits), None);
        prop_assert_eq!(without_base64(&digits.to_uppercase()), None);
        let mixed: String = digits
            .chars()
            .enumerate()
            .map(|(at, digit)| if mixed >> (at % 64) & 1 == 1 { digit.to_ascii_uppercase() } else { digit })
            .collect();
        prop_assert_eq!(without_base64(&mixed), None);
    }

    #[test]
    fn no_text_is_too_strange(text in any::<String>(), lines in "[A-Za-z0-9+/=\r\n-]{0,300}") {
        let _ = without_base64(&text);
        let _ = without_base64(&lines);
    }
}
