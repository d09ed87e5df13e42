"""modern_browser, ancient_browser, $msie."""
import pytest

IE8 = 'Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1)'
IE9 = 'Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1)'
FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0'
SAFARI = 'Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/605.1.15'
OPERA = 'Opera/9.80 (Windows NT 6.1) Presto/2.12 Version/12.16'
OLD_OPERA = 'Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1) Opera 8.5'
LYNX = 'Lynx/2.8.9rel.1 libwww-FM/2.14'
SHOW = 'add_header X-B "$modern_browser|$ancient_browser|$msie"; '


def ages(s, **said):
    for agent, expected in said.values():
        got = s.get('/file.txt', headers={'User-Agent': agent})['x-b']
        assert got == expected, agent


def test_versions(shared):
    s = shared(SHOW + 'modern_browser msie 9.0; modern_browser gecko 1.0.0; '
               'modern_browser safari 605.2; modern_browser opera 9.8; ancient_browser Lynx;')
    ages(s, a=(IE8, '|1|1'), b=(IE9, '1||1'), c=(FIREFOX, '1||'), d=(SAFARI, '|1|'),
         e=(OPERA, '1||'), f=(OLD_OPERA, '|1|'), g=(LYNX, '|1|'), h=('curl/8', '|1|'))


def test_unlisted_and_values(shared):
    s = shared(SHOW + 'modern_browser unlisted; ancient_browser Lynx netscape4; '
               'modern_browser_value new; ancient_browser_value old;')
    ages(s, a=(LYNX, '|old|'), b=(FIREFOX, 'new||'), c=('Mozilla/4.8 [en]', '|old|'),
         d=('curl/8', 'new||'))


def test_nothing_said(shared):
    ages(shared(SHOW), a=(FIREFOX, '||'), b=(IE8, '||1'))


@pytest.mark.one_engine
@pytest.mark.parametrize('line, says', [
    ('modern_browser msie;', '"msie" is no browser without a version'),
    ('modern_browser chrome 1;', '"chrome" is no browser'),
    ('modern_browser msie x;', '"x" is no version'),
    ('modern_browser msie 9.;', '"9." is no version')])
def test_mistakes(weir, line, says):
    assert says in weir(line, start=False).command('-t').stderr
