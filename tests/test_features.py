"""Parts of speech, one for each word piece, and copies of examples with synonyms put in."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from minbert.files import MinbertError
from minbert.tokenizer import BertTokenizer
from minbert.weights import load_folder
from multitask import features
from multitask.data import Encoding, Example, collate, tokenise
from multitask.features import TAGS, augment, make_tagger, read_synonyms, read_tags, tag_examples, tag_pieces
from multitask.recipe import FeaturesRecipe, Recipe
from multitask.recipe_files import load_recipe
from multitask.tables import TASKS, read_table

SST, STS = TASKS["sst"], TASKS["sts"]
# words with like angles are neighbours; "filmy" lies nearest to "film"
DIRECTIONS = {"film": 0.0, "movie": 0.1, "films": 0.02, "movies": 0.12, "good": 1.5, "bad": 1.5, "fine": 1.6, "great": 1.9,
              "smith": 0.05, "the": 0.01, "two": 0.02, "slowly": 3.0, "gently": 3.1, "smiling": 0.07, "grinning": 0.08,
              "tea": 4.5, "filmy": 0.01, "Paris": 0.0, "London": 0.0}
WORDS = [*DIRECTIONS, "##s", "##ed", "un", "##lik", "'", "-", ".", "!", "t", "don"]
TOKENIZER = BertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])
EMBEDDING_VD = torch.zeros(len(TOKENIZER), 2)
for word, angle in DIRECTIONS.items():  # vectors of one length to five: the length is not what counts
    EMBEDDING_VD[TOKENIZER.vocabulary.index(word)] = (1 + len(word) % 5) * torch.tensor([angle, angle - torch.pi / 2]).cos()


def make(*texts: str, name: str = "x", label: float = 1) -> Example:
    return Example(name, texts, label, tuple(TOKENIZER.text_to_ids(text) for text in texts))


def recipe(preprocess: str = "raw", **settings) -> Recipe:
    return replace(load_recipe("baseline"), preprocess=preprocess, features=FeaturesRecipe(**settings))


def write(folder: Path, text: str) -> str:
    path = folder / "words.tsv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def neighbours(*texts: str, seed: int = 1, **settings) -> list[str]:
    """The texts of the copies that `augment` makes."""
    examples = [make(text, name=str(place)) for place, text in enumerate(texts)]
    settings = {"synonyms": "neighbours", "similarity": 0.9} | settings
    return [copy.texts[0] for copy in augment(examples, SST, recipe(**settings), TOKENIZER, EMBEDDING_VD, seed)]


# ---------------------------------------------------------------- parts of speech

def test_the_tags_are_unknown_and_those_of_the_penn_treebank():
    assert TAGS[0] == "unknown" and len(TAGS) == len(set(TAGS)) == 47
    assert sum(tag.rstrip("$").isalpha() for tag in TAGS[1:]) == 36, "the Treebank has 36 tags besides punctuation"


def test_each_piece_has_the_tag_of_its_word():
    def tagger(words: list[str]) -> list[str]:
        assert words == ["films", "unliked", "the", "don", "'", "t", "-", "good", "!"], "words are those of the tokenizer"
        return ["NNS", "JJ", "DT", "VB", "''", "NN", ":", "JJ", "."]

    pieces = ["film", "##s", "un", "##lik", "##ed", "the", "don", "'", "t", "-", "good", "!"]
    ids = [TOKENIZER.vocabulary.index(piece) for piece in pieces]
    names = [TAGS[number] for number in tag_pieces(ids, TOKENIZER, tagger)]
    assert names == ["NNS", "NNS", "JJ", "JJ", "JJ", "DT", "VB", "''", "NN", ":", "JJ", "."], "a word's pieces share its tag"


def test_what_has_no_tag_is_0():
    ids = TOKENIZER.text_to_ids("xyzzy the [SEP] film good")
    assert ids[0] == TOKENIZER.unknown_id and ids[2] == TOKENIZER.sep_id
    assert tag_pieces(ids, TOKENIZER, lambda words: ["NN", "DT", "NN", "unknown", "NN|JJ"]) == [0, TAGS.index("DT"), 0, 0, 0]
    assert tag_pieces([], TOKENIZER, lambda words: []) == []


def test_a_tagger_that_loses_a_word_is_not_believed():
    with pytest.raises(ValueError):
        tag_pieces(TOKENIZER.text_to_ids("the film"), TOKENIZER, lambda words: ["DT"])


def test_examples_are_tagged_by_a_file_and_batched_with_their_tags(tmp_path):
    some = recipe(part_of_speech="file", tag_file=write(tmp_path, "The\tDT\nfilm\tNN\n\ngood\tJJ\r\n.\t.\n"))
    pair, short = tag_examples([make("The good film.", "tea"), make("film", "")], some, TOKENIZER)
    tags = [TAGS.index(tag) for tag in ("DT", "JJ", "NN", ".")]
    assert pair.tags == (tags, [0]) and short.tags == ([TAGS.index("NN")], [])
    assert pair.pieces == make("The good film.", "tea").pieces
    tags_BT = collate([pair, short], STS, TOKENIZER, Encoding("pair")).tokens.tags_BT
    assert tags_BT.tolist() == [[0, *tags, 0, 0, 0], [0, TAGS.index("NN"), 0, 0, 0, 0, 0, 0]]


def test_without_a_tagger_examples_stay_as_they_are():
    examples = [make("the film")]
    assert tag_examples(examples, recipe(), TOKENIZER) == examples and examples[0].tags is None


def test_a_tag_file_holds_for_capitals_too(tmp_path):
    tagger = make_tagger(FeaturesRecipe(part_of_speech="file", tag_file=write(tmp_path, "Film\tNN\n")))
    assert tagger(["film", "FILM", "tea"]) == ["NN", "NN", "unknown"]


def test_there_are_as_many_tags_as_pieces_whatever_the_text(tmp_path):
    some = recipe(part_of_speech="file", tag_file=write(tmp_path, "film\tNN\n"))
    texts = ["", " ", "film's", "[SEP]film[MASK]", "\u00e9\u0301\u4e2dfilm\u200d", "##s", "films unliked-good!!", "x" * 120]
    for example in tag_examples([make(text) for text in texts], some, TOKENIZER):
        assert len(example.tags[0]) == len(example.pieces[0]), example.texts


@pytest.mark.parametrize("text, line, wrong", [
    ("film\tNN\ngood JJ\n", 2, "'good JJ' is not a word, a tab"),
    ("film\tNN\tNNS\n", 1, "is not a word, a tab"),
    ("\tNN\n", 1, "is not a word, a tab"),
    ("film\tNN\n\nFilm\tVB\n", 3, "'film' is already on line 1"),
    ("film\tnoun\n", 1, "'noun' is no Penn Treebank tag"),
    ("film\tunknown\n", 1, "'unknown' is no Penn Treebank tag"),
])
def test_a_wrong_line_of_a_tag_file_is_named(tmp_path, text, line, wrong):
    path = write(tmp_path, text)
    with pytest.raises(MinbertError) as error:
        read_tags(Path(path))
    assert str(error.value).startswith(f"{path}:{line}: ") and wrong in str(error.value) and error.value.hint


def test_a_missing_tag_file_and_a_missing_package_say_what_to_do(monkeypatch):
    with pytest.raises(MinbertError, match="nowhere.tsv"):
        make_tagger(FeaturesRecipe(part_of_speech="file", tag_file="nowhere.tsv"))
    monkeypatch.setitem(sys.modules, "textblob", None)
    monkeypatch.setitem(sys.modules, "textblob.en", None)
    with pytest.raises(MinbertError, match="part_of_speech = 'textblob' needs the package textblob") as error:
        make_tagger(FeaturesRecipe(part_of_speech="textblob"))
    assert "pip install textblob" in error.value.hint and "tag_file" in error.value.hint


@pytest.mark.oracle
def test_our_tags_are_textblobs():
    taggers = pytest.importorskip("textblob.taggers")
    tagger, known = make_tagger(FeaturesRecipe(part_of_speech="textblob")), set()
    for text in ("the film is a stirring , funny and finally transporting re-imagining of 1930s horror films .",
                 "don ' t look : 3 / 4 of \" it \" ( the $ 9 % ) was n ' t # 1 ; \\ / and `` so '' on ... !",
                 "which smaller dogs ran most quickly to her , oh where , and whose could they not have been ?"):
        words = text.split()
        tags = tagger(words)
        assert list(zip(words, tags, strict=True)) == taggers.PatternTagger().tag(text, tokenize=False)
        known |= set(tags)
    assert known <= set(TAGS[1:]), f"{known - set(TAGS)}: has textblob other tags than before?"
    assert len(known) > 20


@pytest.mark.oracle
def test_real_sentences_have_a_tag_for_each_piece_and_few_are_unknown(course_data, minilm):
    pytest.importorskip("textblob")
    tokenizer = BertTokenizer.from_pretrained(minilm)
    examples = tokenise(read_table(course_data / STS.file_name("dev"), STS, "dev"), tokenizer)
    tagged = tag_examples(examples, recipe(part_of_speech="textblob"), tokenizer)
    tags = [tag for example in tagged for text in example.tags for tag in text]
    assert all([*map(len, example.tags)] == [*map(len, example.pieces)] for example in tagged)
    assert tags.count(0) < 0.01 * len(tags)


# ---------------------------------------------------------------- synonyms

def test_a_neighbour_of_the_same_class_takes_a_words_place():
    assert neighbours("the film .", "movie !") == ["the movie .", "film !"]
    assert neighbours("film", "movie") == ["movie", "film"], "each is the other's nearest"
    assert neighbours("film", "movies") == [], "a plural does not stand for a singular"
    assert neighbours("smiling", "film") == [], "-ing words are a class of their own"
    assert neighbours("smiling", "grinning") == ["grinning", "smiling"]
    assert neighbours("slowly", "gently") == ["gently", "slowly"]


def test_the_neighbour_is_the_nearest_that_is_near_enough():
    assert neighbours("good", "fine", "great", similarity=0.9) == ["fine", "good", "fine"]
    assert neighbours("good", "fine", "great", similarity=0.98) == ["fine", "good"], "cos 0.3 is 0.955"
    assert neighbours("film", "movie", similarity=1.0) == []


def test_an_opposite_is_not_a_synonym_however_near():
    assert neighbours("good", "bad", similarity=-1.0) == [], "good and bad have the same vector here"
    assert neighbours("good", "bad", "tea", similarity=-1.0)[:2] == ["tea", "tea"]
    opposites = features.read_opposites()
    assert ("hot", "cold") in opposites and ("cold", "hot") in opposites and ("male", "female") in opposites
    assert not any(a == b for a, b in opposites)


def test_a_form_of_the_same_word_is_not_a_synonym():
    for word, other in (("small", "smaller"), ("hot", "hotter"), ("acceptable", "unacceptable"), ("film", "film")):
        assert features.is_form(word, other) and features.is_form(other, word)
    assert not features.is_form("film", "movie")
    assert neighbours("film", "filmy") == [] and neighbours("film", "filmy movie")[0] == "movie"


def test_names_numbers_and_function_words_stay():
    assert neighbours("two", "film", "the") == [], "'two' and 'the' have the film's vector"
    assert neighbours("Film", "the movie") == [], "a word with a capital may be a name, and is no one's neighbour"
    cased = BertTokenizer(TOKENIZER.vocabulary, lowercase=False)
    assert features.find_content_words([make("Paris , London and a film")], cased) == ["film"]
    assert neighbours("smith film", "Smith Smith") == [], "smith is more often written with a capital: a name"
    assert len(neighbours("smith film", "Smith")) == 1, "as often with a small letter as with a capital: no name"


def test_parts_of_words_stay():
    assert neighbours("film-movie don't", "film's movie") == []


def test_with_a_tagger_neighbours_have_the_same_tag(tmp_path):
    tags = write(tmp_path, "film\tNN\nmovie\tNN\nsmiling\tNN\ngrinning\tVBG\n")
    assert sorted(neighbours("film", "smiling", "grinning", part_of_speech="file", tag_file=tags)) == ["film", "smiling"]


def user_words(folder: Path, text: str) -> dict:
    return {"synonyms": "file", "synonym_file": write(folder, text)}


def test_one_or_two_words_differ_and_nothing_else(tmp_path):
    some = recipe(**user_words(tmp_path, "film\tmovie,picture\ngood\tfine\ntea\tdrink\n"))
    texts = ["The  good film, and tea: good film!", "Film film"]
    counts, replacements = set(), set()
    for seed in range(20):
        copies = augment([make(text) for text in texts], SST, some, TOKENIZER, EMBEDDING_VD, seed)
        first = copies[0].texts[0]
        changed = sum(a != b for a, b in zip(texts[0].split(" "), first.split(" "), strict=True))
        counts.add(changed)
        assert changed in (1, 2), first
        assert copies[0].pieces == (TOKENIZER.text_to_ids(first),), "the pieces are those of the new text"
        assert copies[1].texts[0].split()[0] == "Film", "a word with a capital is kept"
        replacements |= set(first.replace(",", "").replace("!", "").split()) & {"movie", "picture"}
    assert counts == {1, 2}, "sometimes one word is replaced, sometimes two"
    assert replacements == {"movie", "picture"}, "each of the file's synonyms has its turn"


def test_a_copy_keeps_label_and_lineage_and_the_original_stays(tmp_path):
    some = recipe(**user_words(tmp_path, "film\tmovie\n"))
    examples = [make("a film", name="7f", label=3), make("tea", name="80"), make("film film", name="81", label=0)]
    before = [replace(example) for example in examples]
    copies = augment(examples, SST, some, TOKENIZER, EMBEDDING_VD, 1)
    assert [(copy.id, copy.label, copy.tags) for copy in copies] == [("7f~1", 3, None), ("81~1", 0, None)]
    assert examples == before, "the originals were changed"
    assert copies[0].texts == ("a movie",) and len(copies) <= len(examples)


def test_of_a_pair_one_sentence_changes(tmp_path):
    some = recipe(**user_words(tmp_path, "film\tmovie\n"))
    both, second = make("film", "the film", label=2.4), make("tea", "film")
    seen = set()
    for seed in range(20):
        first, other = augment([both, second], STS, some, TOKENIZER, EMBEDDING_VD, seed)
        assert other.texts == ("tea", "movie"), "the sentence that has a word to replace"
        assert sum(a != b for a, b in zip(first.texts, both.texts, strict=True)) == 1 and first.label == 2.4
        assert first.pieces == tuple(TOKENIZER.text_to_ids(text) for text in first.texts)
        seen.add(first.texts)
    assert seen == {("movie", "the film"), ("film", "the movie")}, "either sentence may be the one"


def test_copies_come_from_the_seed_and_from_nothing_else(tmp_path):
    some = recipe(**user_words(tmp_path, "film\tmovie,picture,tea\ngood\tfine,great\n"))
    examples, state = [make("good film , good film", name=str(place)) for place in range(20)], torch.get_rng_state()
    copies = augment(examples, SST, some, TOKENIZER, EMBEDDING_VD, 1)
    torch.manual_seed(5)
    assert augment(examples, SST, some, TOKENIZER, EMBEDDING_VD, 1) == copies
    assert augment(examples, SST, some, TOKENIZER, EMBEDDING_VD, 2) != copies
    torch.set_rng_state(state)
    augment(examples, SST, some, TOKENIZER, EMBEDDING_VD, 1)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_copy_is_preprocessed_as_its_original_is(tmp_path):
    settings = user_words(tmp_path, "film\tMovie\n")
    cased = BertTokenizer(TOKENIZER.vocabulary, lowercase=False)
    raw, prepared = (augment([make("film")], SST, recipe(name, **settings), cased, EMBEDDING_VD, 1)[0].pieces[0]
                     for name in ("raw", "cs224n"))
    assert (raw, prepared) == ([TOKENIZER.unknown_id], TOKENIZER.text_to_ids("movie"))


def test_without_synonyms_there_are_no_copies():
    assert augment([make("film"), make("movie")], SST, recipe(), TOKENIZER, EMBEDDING_VD, 1) == []


@pytest.mark.parametrize("text, line, wrong", [
    ("film\tmovie\ntea\t,drink\n", 2, "a synonym is empty or the word itself"),
    ("film\tmovie,film\n", 1, "a synonym is empty or the word itself"),
    ("film movie\n", 1, "is not a word, a tab"),
    ("film\tmovie\nfilm\tpicture\n", 2, "'film' is already on line 1"),
])
def test_a_wrong_line_of_a_synonym_file_is_named(tmp_path, text, line, wrong):
    path = write(tmp_path, text)
    with pytest.raises(MinbertError) as error:
        read_synonyms(Path(path))
    assert str(error.value).startswith(f"{path}:{line}: ") and wrong in str(error.value)


def test_more_words_than_are_compared_at_a_time_have_the_same_neighbours(monkeypatch):
    texts = ("film", "movie", "good", "fine", "great", "tea", "slowly", "gently")
    expected = neighbours(*texts)
    monkeypatch.setattr(features, "ROWS", 2)
    assert neighbours(*texts) == expected and len(expected) == 7


@pytest.mark.oracle
def test_real_embeddings_know_real_synonyms(course_data, minilm):
    tokenizer = BertTokenizer.from_pretrained(minilm)
    embedding_VD = load_folder(minilm)[0].embeddings.word.weight
    examples = tokenise(read_table(course_data / SST.file_name("train"), SST, "train"), tokenizer)
    found = features.find_neighbours(examples, FeaturesRecipe(synonyms="neighbours"), tokenizer, embedding_VD)
    assert found["constantly"] == ["continually"] and found["dumb"] == ["stupid"]
    assert 100 < len(found) < 1000
