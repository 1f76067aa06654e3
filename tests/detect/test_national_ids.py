"""Each state's own published specimen is taken, and a number with one digit changed is not.

The specimens are from the issuers' documentation and from collections of it; none belongs to a person.
"""

import random

import pytest

from localguard.detect.candidate import Candidate
from localguard.detect.check_digits import icao_7_3_1, iso_7064_mod_11_10, luhn, mod_97_10, verhoeff
from localguard.detect.national_ids import NATIONAL_IDS
from localguard.detect.wallet_addresses import keccak_256

SPECIMENS = (
    ("ae_id", "784-1979-1234567-1"),
    ("ar_cbu", "2850590940090418135201"),
    ("ar_cuit", "20-05536168-2"),
    ("at_svnr", "1237 010180"),
    ("au_abn", "51 824 753 556"),
    ("au_medicare", "2123 45670 1"),
    ("au_tfn", "459 599 230"),
    ("be_register", "85.07.30-033.28"),
    ("bg_egn", "7523169263"),
    ("br_cnpj", "16.727.230/0001-97"),
    ("br_cpf", "390.533.447-05"),
    ("ca_sin", "130 692 544"),
    ("ch_ahv", "756.9217.0769.85"),
    ("cl_rut", "12.531.909-2"),
    ("cn_resident_id", "11010519491231002X"),
    ("co_nit", "213.123.432-1"),
    ("cz_rodne_cislo", "710319/2745"),
    ("de_health", "A123456780"),
    ("de_id_card", "T220001293"),
    ("de_pension", "15070649C103"),
    ("de_tax_id", "36574261809"),
    ("de_tax_id", "86095742719"),
    ("ec_cedula", "171430710-3"),
    ("ee_isikukood", "36805280109"),
    ("ee_isikukood", "38703181745"),
    ("es_cif", "J99216582"),
    ("es_dni", "54362315K"),
    ("es_dni", "X2482300W"),
    ("fi_hetu", "131052-308T"),
    ("fr_nir", "2 95 10 99 126 111 93"),
    ("fr_nir", "253072B07300470"),
    ("fr_spi", "0701987765493"),
    ("gb_nhs", "943 476 5870"),
    ("gb_utr", "1955839661"),
    ("gr_afm", "094259216"),
    ("gr_amka", "01013099997"),
    ("hk_id", "A123456(3)"),
    ("hr_oib", "33392005961"),
    ("ie_pps", "6433435F"),
    ("ie_pps", "6433435OA"),
    ("il_id", "039337423"),
    ("in_aadhaar", "2341 2341 2346"),
    ("in_gstin", "27AAPFU0939F1ZV"),
    ("is_kennitala", "120174-3399"),
    ("it_fiscal_code", "RCCMNL83S18D969H"),
    ("jp_my_number", "6214 9832 0257"),
    ("lu_matricule", "1893120105732"),
    ("lv_personal_code", "161175-19997"),
    ("mx_clabe", "032180000118359719"),
    ("mx_curp", "BOXW310820HNERXN09"),
    ("mx_rfc", "GODE 561231 GR8"),
    ("nl_bsn", "1112.22.333"),
    ("no_fnr", "15108695088"),
    ("nz_ird", "49-091-850"),
    ("nz_nhi", "ZZZ0016"),
    ("pe_ruc", "20512333797"),
    ("pl_id_card", "ABA300000"),
    ("pl_nip", "8567346215"),
    ("pl_pesel", "44051401359"),
    ("pt_citizen_card", "000000000ZZ4"),
    ("pt_nif", "501 964 843"),
    ("ro_cnp", "1630615123457"),
    ("ru_inn", "500100732259"),
    ("ru_snils", "112-233-445 95"),
    ("sa_id", "1058529940"),
    ("se_personnummer", "880320-0016"),
    ("sg_nric", "S1234567D"),
    ("th_id", "1101700207030"),
    ("tr_id", "17291716060"),
    ("ua_rnokpp", "1759013776"),
    ("us_npi", "1234567893"),
    ("uy_ci", "1.234.567-2"),
    ("yu_jmbg", "0101006500006"),
    ("za_id", "7503305044089"),
)
WITHOUT_CHECK_DIGIT = ("dk_cpr", "gb_nino", "gb_driving_licence", "kr_rrn", "my_nric", "us_mbi", "in_pan", "eg_id")


def taken(name: str, number: str) -> bool:
    return NATIONAL_IDS[name](Candidate(number, "", "", ""))


@pytest.mark.parametrize(("name", "number"), SPECIMENS)
def test_a_published_specimen_is_taken(name: str, number: str) -> None:
    assert taken(name, number)


@pytest.mark.parametrize(("name", "number"), SPECIMENS)
def test_most_changes_of_one_digit_are_noticed(name: str, number: str) -> None:
    changed = [
        number[:index] + other + number[index + 1 :]
        for index, digit in enumerate(number)
        if digit.isdigit()
        for other in "0123456789"
        if other != digit
    ]
    assert sum(taken(name, one) for one in changed) <= len(changed) // 5


@pytest.mark.parametrize("name", NATIONAL_IDS)
def test_random_text_is_refused_without_an_error(name: str) -> None:
    rng = random.Random(name)
    for length in range(30):
        for alphabet in ("0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789ABCXYZ -./", "٣٤٥äß𝟙"):
            assert taken(name, "".join(rng.choice(alphabet) for _ in range(length))) in (True, False)


@pytest.mark.parametrize("name", sorted(set(NATIONAL_IDS) - set(WITHOUT_CHECK_DIGIT)))
def test_a_check_digit_takes_a_small_share_of_random_digits(name: str) -> None:
    rng = random.Random(name)
    lengths = [length for length in range(7, 23) if taken_some(name, length, rng)]
    for length in lengths:
        share = sum(taken(name, "".join(rng.choice("0123456789") for _ in range(length))) for _ in range(3000)) / 3000
        assert share < 0.13, (name, length, share)


def taken_some(name: str, length: int, rng: random.Random) -> bool:
    return any(taken(name, "".join(rng.choice("0123456789") for _ in range(length))) for _ in range(300))


def test_the_algorithms_agree_with_their_standards() -> None:
    assert luhn("79927398713")
    assert verhoeff("2363")
    assert iso_7064_mod_11_10("07945")
    assert mod_97_10("79444")
    assert icao_7_3_1("AB2134<<<") == 5
    assert keccak_256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
