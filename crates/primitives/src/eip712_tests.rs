use alloc::{string::String, vec::Vec};

use alloy_primitives::keccak256;
use proptest::prelude::*;

use super::*;

#[derive(Deserialize)]
struct Vector {
    by: String,
    name: String,
    raw: Bytes,
    digest: B256,
    hash: B256,
    from: Address,
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("../tests/vectors/eip712.json")).unwrap()
}

#[test]
fn constants_are_what_they_name() {
    let ty = "Transaction(uint256 txType,uint256 from,uint256 to,uint256 gasLimit,uint256 gasPerPubdataByteLimit,uint256 maxFeePerGas,uint256 maxPriorityFeePerGas,uint256 paymaster,uint256 nonce,uint256 value,bytes data,bytes32[] factoryDeps,bytes paymasterInput)";
    assert_eq!(TYPE_HASH, keccak256(ty));
    assert_eq!(
        DOMAIN_TYPE_HASH,
        keccak256("EIP712Domain(string name,string version,uint256 chainId)")
    );
    assert_eq!(DOMAIN_NAME_HASH, keccak256("zkSync"));
    assert_eq!(DOMAIN_VERSION_HASH, keccak256("2"));
    assert_eq!(EMPTY_HASH, keccak256([]));
}

/// What unmodified clients encode is decoded, encoded to the same bytes and hashed as they hash it.
#[test]
fn agrees_with_the_clients() {
    let all = vectors();
    assert_eq!(all.len(), 8);
    for v in all {
        let what = alloc::format!("{}: {}", v.by, v.name);
        let tx = Eip712Tx::decode(&v.raw[1..]).expect(&what);
        assert_eq!(tx.encode(), v.raw, "{what}");
        assert_eq!(tx.signing_hash(), v.digest, "{what}");
        assert_eq!(tx.hash(), v.hash, "{what}");
        assert_eq!(tx.from, v.from, "{what}");
    }
}

/// Every field of the signed data changes what is signed; the signature changes the hash alone.
#[test]
fn every_field_is_signed() {
    let tx = sample();
    let changes: [fn(&mut Eip712Tx); 12] = [
        |t| t.chain_id += 1,
        |t| t.from = Address::repeat_byte(0x77),
        |t| t.to = None,
        |t| t.nonce += 1,
        |t| t.gas_limit += 1,
        |t| t.gas_per_pubdata += 1,
        |t| t.max_fee_per_gas += 1,
        |t| t.max_priority_fee_per_gas += 1,
        |t| t.value += U256::from(1),
        |t| t.data = Bytes::from_static(b"other"),
        |t| t.paymaster = None,
        |t| t.paymaster.as_mut().unwrap().input = Bytes::from_static(b"other"),
    ];
    for (i, change) in changes.iter().enumerate() {
        let mut other = tx.clone();
        change(&mut other);
        assert_ne!(other.signing_hash(), tx.signing_hash(), "field {i}");
    }
    let mut other = tx.clone();
    other.signature = Bytes::from_static(b"other");
    assert_eq!(other.signing_hash(), tx.signing_hash());
    assert_ne!(other.hash(), tx.hash());
}

fn sample() -> Eip712Tx {
    Eip712Tx {
        chain_id: 270,
        from: Address::repeat_byte(1),
        to: Some(Address::repeat_byte(2)),
        nonce: 9,
        gas_limit: 100_000,
        gas_per_pubdata: 50_000,
        max_fee_per_gas: 7,
        max_priority_fee_per_gas: 3,
        value: U256::from(5),
        data: Bytes::from_static(b"data"),
        paymaster: Some(PaymasterParams {
            paymaster: Address::repeat_byte(3),
            input: Bytes::from_static(b"input"),
        }),
        signature: Bytes::from_static(&[1; 65]),
    }
}

/// RLP of the fields as raw items, so that a test can put anything in any place.
fn raw(items: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    let payload = items.concat();
    Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend(payload);
    out
}

fn items() -> Vec<Vec<u8>> {
    fn item(v: impl Encodable) -> Vec<u8> {
        alloy_rlp::encode(v)
    }
    let t = sample();
    let p = t.paymaster.clone().unwrap();
    alloc::vec![
        item(t.nonce),
        item(t.max_priority_fee_per_gas),
        item(t.max_fee_per_gas),
        item(t.gas_limit),
        item(t.to.unwrap()),
        item(t.value),
        item(t.data),
        item(t.chain_id),
        item(b"".as_slice()),
        item(b"".as_slice()),
        item(t.chain_id),
        item(t.from),
        item(t.gas_per_pubdata),
        alloc::vec![0xc0],
        item(t.signature),
        raw(&[item(p.paymaster), item(p.input)]),
    ]
}

fn with(index: usize, item: Vec<u8>) -> Result<Eip712Tx, Eip712Error> {
    let mut items = items();
    items[index] = item;
    Eip712Tx::decode(&raw(&items))
}

#[test]
fn refuses_what_is_not_canonical() {
    assert_eq!(Eip712Tx::decode(&raw(&items())), Ok(sample()));
    let bytes = |b: &[u8]| alloy_rlp::encode(b);
    // Integers: a leading zero, a number that needs no length, one that is too wide.
    for (i, name) in [(0, "nonce"), (3, "gasLimit"), (12, "gasPerPubdata")] {
        assert_eq!(with(i, bytes(&[0, 1])), Err(Eip712Error::Rlp(name)));
        assert_eq!(with(i, alloc::vec![0x81, 0x05]), Err(Eip712Error::Rlp(name)));
        assert_eq!(with(i, bytes(&[1; 9])), Err(Eip712Error::Rlp(name)));
    }
    assert_eq!(with(2, bytes(&[1; 17])), Err(Eip712Error::Rlp("maxFeePerGas")));
    assert_eq!(with(5, bytes(&[1; 33])), Err(Eip712Error::Rlp("value")));
    // Addresses.
    assert_eq!(with(4, bytes(&[1; 19])), Err(Eip712Error::Rlp("to")));
    assert_eq!(with(4, bytes(&[0; 20])), Err(Eip712Error::ZeroAddress("to")));
    assert_eq!(with(4, bytes(b"")).unwrap().to, None);
    assert_eq!(with(11, bytes(b"")), Err(Eip712Error::Rlp("from")));
    // The places of an Ethereum signature.
    assert_eq!(with(7, bytes(&[27])), Err(Eip712Error::SignatureFields));
    assert_eq!(with(8, bytes(&[1; 32])), Err(Eip712Error::SignatureFields));
    assert_eq!(with(10, bytes(&[7])), Err(Eip712Error::SignatureFields));
    // Lists.
    assert_eq!(with(13, raw(&[bytes(&[1; 32])])), Err(Eip712Error::FactoryDeps));
    assert_eq!(with(13, bytes(b"")), Err(Eip712Error::Rlp("factoryDeps")));
    assert_eq!(with(14, bytes(b"")), Err(Eip712Error::NoSignature));
    let large = MAX_CUSTOM_SIGNATURE + 1;
    assert_eq!(
        with(14, bytes(&alloc::vec![1; large])),
        Err(Eip712Error::TooLarge {
            field: "customSignature",
            size: large,
            limit: MAX_CUSTOM_SIGNATURE
        })
    );
    assert_eq!(with(15, alloc::vec![0xc0]).unwrap().paymaster, None);
    for list in [
        raw(&[bytes(&[3; 20])]),
        raw(&[bytes(b""), bytes(b"x")]),
        raw(&[bytes(&[3; 20]), bytes(b"x"), bytes(b"")]),
        bytes(&[3; 20]),
    ] {
        assert!(with(15, list).is_err());
    }
    let none = raw(&[bytes(&[0; 20]), bytes(b"")]);
    assert_eq!(with(15, none), Err(Eip712Error::ZeroAddress("paymasterParams")));
    // Too few, too many, bytes after.
    assert!(Eip712Tx::decode(&raw(&items()[..15])).is_err());
    let mut more = items();
    more.push(bytes(b""));
    assert_eq!(Eip712Tx::decode(&raw(&more)), Err(Eip712Error::Trailing));
    let mut longer = raw(&items());
    longer.push(0);
    assert_eq!(Eip712Tx::decode(&longer), Err(Eip712Error::Trailing));
}

prop_compose! {
    fn any_tx()(
        numbers in any::<[u64; 4]>(),
        fees in any::<[u128; 2]>(),
        value in any::<[u64; 4]>(),
        from in any::<[u8; 20]>(),
        to in proptest::option::of(any::<[u8; 20]>()),
        paymaster in proptest::option::of((any::<[u8; 20]>(), proptest::collection::vec(any::<u8>(), 0..100))),
        data in proptest::collection::vec(any::<u8>(), 0..200),
        signature in proptest::collection::vec(any::<u8>(), 1..200),
    ) -> Eip712Tx {
        let nonzero = |a: [u8; 20]| Address::from(a).max(Address::with_last_byte(1));
        Eip712Tx {
            chain_id: numbers[0],
            from: from.into(),
            to: to.map(nonzero),
            nonce: numbers[1],
            gas_limit: numbers[2],
            gas_per_pubdata: numbers[3],
            max_fee_per_gas: fees[0],
            max_priority_fee_per_gas: fees[1],
            value: U256::from_limbs(value),
            data: data.into(),
            paymaster: paymaster.map(|(a, i)| PaymasterParams { paymaster: nonzero(a), input: i.into() }),
            signature: signature.into(),
        }
    }
}

proptest! {
    #[test]
    fn round_trips(tx in any_tx()) {
        let raw = tx.encode();
        prop_assert_eq!(raw[0], EIP712_TX_TYPE);
        prop_assert_eq!(Eip712Tx::decode(&raw[1..]).unwrap(), tx);
    }

    /// A changed byte is refused or decodes to something that is encoded exactly so: no transaction has two encodings.
    #[test]
    fn one_encoding_each(tx in any_tx(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut raw = tx.encode();
        let at = at.index(raw.len() - 1) + 1;
        raw[at] = byte;
        if let Ok(other) = Eip712Tx::decode(&raw[1..]) {
            prop_assert_eq!(other.encode(), raw);
        }
    }

    #[test]
    fn survives_any_bytes(raw in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(tx) = Eip712Tx::decode(&raw) {
            prop_assert_eq!(&tx.encode()[1..], &raw[..]);
        }
    }
}
